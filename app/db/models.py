"""The tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, Double, Index, MetaData, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

#: What a training job can be; the first four still hold a place.
ACTIVE = ("queued", "starting", "running", "stopping")
STATES = (*ACTIVE, "stopped", "finished", "failed", "lost")


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class TrainingJob(Base):
    """A training run that was asked for over HTTP. Its id is the name of its run folder and of the model it makes.

    host, pid, pid_started (seconds since 1970): the process, safe against numbers that are used again.
    owner, owner_seen: which process of the service watches it, and when that one last said so.
    progress: {"step", "steps", "epoch", "epochs"} as far as known. log_tail: last lines of the log of one that failed.
    """

    __tablename__ = "training_jobs"
    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
        Index("ix_training_jobs_created_at", "created_at"),
        # Whoever watches looks for these every second.
        Index("ix_training_jobs_active", "state", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    command: Mapped[list[str]] = mapped_column(JSONB)
    device: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int | None]
    pid_started: Mapped[float | None] = mapped_column(Double)
    owner: Mapped[str]
    owner_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    stop_asked: Mapped[bool] = mapped_column(server_default=text("false"))
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    exit_code: Mapped[int | None]
    reason: Mapped[str | None]
    log_tail: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ActiveCheckpoint(Base):
    """Which checkpoint answers in services whose CHECKPOINT is `configured`: another setting, another choice."""

    __tablename__ = "active_checkpoints"

    configured: Mapped[str] = mapped_column(primary_key=True)
    checkpoint: Mapped[str]
    chosen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

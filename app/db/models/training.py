"""The table of training jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, DateTime, Double, Index, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base

#: States of a training job; in the first four it is active.
ACTIVE = ("queued", "starting", "running", "stopping")
STATES = (*ACTIVE, "stopped", "finished", "failed", "lost")


class TrainingJob(Base):
    """A training run that was requested over HTTP."""

    __tablename__ = "training_jobs"
    __table_args__ = (
        CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in STATES) + ")", name="state"),
        Index("ix_training_jobs_created_at", "created_at"),
        # The watchers look for these every second.
        Index("ix_training_jobs_active", "state", postgresql_where=text("finished_at IS NULL")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    """Also the name of its run folder and the id of its checkpoint."""
    state: Mapped[str]
    """One of STATES."""
    request: Mapped[dict[str, Any]] = mapped_column(JSONB)
    command: Mapped[list[str]] = mapped_column(JSONB)
    device: Mapped[str]
    host: Mapped[str]
    """The machine of its process."""
    pid: Mapped[int | None]
    pid_started: Mapped[float | None] = mapped_column(Double)
    """When the process started, seconds since 1970: process ids are reused."""
    owner: Mapped[str]
    """Which process of the service watches it."""
    owner_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    """When the owner last sent a heartbeat."""
    stop_asked: Mapped[bool] = mapped_column(server_default=text("false"))
    attempt: Mapped[int] = mapped_column(server_default=text("1"))
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """{"step", "steps", "epoch", "epochs"}, as far as they are known."""
    exit_code: Mapped[int | None]
    reason: Mapped[str | None]
    log_tail: Mapped[str | None]
    """The last lines of the log of a job that failed."""
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

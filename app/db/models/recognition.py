"""The table of the recogniser that answers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base


class CheckpointChoice(Base):
    """Which checkpoint answers in services whose CHECKPOINT is `configured`: another setting, another choice."""

    __tablename__ = "active_checkpoints"

    configured: Mapped[str] = mapped_column(primary_key=True)
    checkpoint: Mapped[str]
    chosen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

"""The table of the active recogniser."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base


class CheckpointChoice(Base):
    """The active checkpoint of services with CHECKPOINT=`configured`; each value of the setting has its own choice."""

    __tablename__ = "active_checkpoints"

    configured: Mapped[str] = mapped_column(primary_key=True)
    checkpoint: Mapped[str]
    chosen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())

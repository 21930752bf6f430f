"""The table of own voices: one sample of a person's voice each, kept with their consent."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Double, ForeignKey, Index, LargeBinary, func
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base


class OwnVoice(Base):
    """A sample that a voice is fitted to or cloned from; deleted when the consent is revoked, and with the account."""

    __tablename__ = "own_voices"
    __table_args__ = (Index("uq_own_voices_user_id", "user_id", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """Whose it is; NULL: this service without accounts (AUTH_MODE=open)."""
    consent: Mapped[str]
    """The words that were agreed to."""
    consented_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
    sample: Mapped[bytes] = mapped_column(LargeBinary)
    """FLAC, mono, 16 kHz."""
    duration_s: Mapped[float] = mapped_column(Double)
    pitch_hz: Mapped[float] = mapped_column(Double)
    characters_a_s: Mapped[float | None] = mapped_column(Double)
    """As in `Likeness`."""

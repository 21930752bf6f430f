"""The tables of sign sets: signs that people teach, as embeddings and, if they agree, landmarks; never pictures."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import DateTime, Double, ForeignKey, Index, LargeBinary, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base

_MOMENT = DateTime(timezone=True)


class SignSet(Base):
    """Signs of one person, chosen for a session like a vocabulary."""

    __tablename__ = "sign_sets"
    __table_args__ = (
        Index("ix_sign_sets_user_id", "user_id"),
        Index("uq_sign_sets_share_digest", "share_digest", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """Its owner; NULL: this service without accounts (AUTH_MODE=open)."""
    name: Mapped[str]
    sign_language: Mapped[str]
    """ISO 639-3 code."""
    keep_landmarks: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether the owner agrees that landmarks of recordings are stored."""
    share_digest: Mapped[str | None]
    """SHA-256 of the token with which others read it, in hexadecimal; the token itself is not stored."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class TaughtSignRow(Base):
    """One sign of a set."""

    __tablename__ = "taught_signs"
    __table_args__ = (Index("uq_taught_signs_set_id_gloss", "set_id", "gloss", unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    set_id: Mapped[UUID] = mapped_column(ForeignKey("sign_sets.id", ondelete="CASCADE"))
    gloss: Mapped[str]
    """As captions show it."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class SignRecording(Base):
    """One recording of a sign."""

    __tablename__ = "sign_recordings"
    __table_args__ = (Index("ix_sign_recordings_sign_id", "sign_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    sign_id: Mapped[UUID] = mapped_column(ForeignKey("taught_signs.id", ondelete="CASCADE"))
    space: Mapped[str]
    """`Recogniser.embedding_space` of the embedding."""
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    """float16, little-endian, of length one."""
    landmarks: Mapped[bytes | None] = mapped_column(LargeBinary)
    """An .npz as `landmark_files.save_npz` writes it; NULL where the owner did not agree to keep them."""
    duration_s: Mapped[float] = mapped_column(Double)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())

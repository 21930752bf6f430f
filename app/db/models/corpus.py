"""The tables of recordings that people give for training: consents, and who signs under which pseudonym."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base

_MOMENT = DateTime(timezone=True)


class Corpus(Base):
    """The corpus of a sign language, which is a folder; its mark says that the folder belongs to this database."""

    __tablename__ = "corpora"

    sign_language: Mapped[str] = mapped_column(primary_key=True)
    """ISO 639-3 code."""
    mark: Mapped[UUID] = mapped_column(default=uuid4)


class CorpusSigner(Base):
    """A person in recordings that were given; stays when they take them back, so that the split is the same if they
    give again, and goes with the account."""

    __tablename__ = "corpus_signers"
    __table_args__ = (
        Index("uq_corpus_signers_pseudonym", "pseudonym", unique=True),
        Index("uq_corpus_signers_user_id", "user_id", unique=True),
        Index("uq_corpus_signers_nickname", "nickname", unique=True, postgresql_where=text("user_id IS NULL")),
        CheckConstraint("split IN ('train', 'dev', 'test')", name="split"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    """NULL: a person at this machine (AUTH_MODE=open)."""
    nickname: Mapped[str] = mapped_column(server_default=text("''"))
    """Tells people at one machine apart; empty with an account. It never leaves the database."""
    pseudonym: Mapped[str]
    """What the corpus calls them."""
    split: Mapped[str]
    """train, dev or test: all of a person's recordings are in one."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class CorpusConsent(Base):
    """Somebody gave the recordings of a set, with those that are added to it, until they take that back."""

    __tablename__ = "corpus_consents"
    __table_args__ = (
        Index("ix_corpus_consents_signer_id", "signer_id"),
        Index("uq_corpus_consents_set_id", "set_id", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    signer_id: Mapped[UUID] = mapped_column(ForeignKey("corpus_signers.id", ondelete="CASCADE"))
    set_id: Mapped[UUID | None] = mapped_column(ForeignKey("sign_sets.id", ondelete="SET NULL"))
    """NULL: the set was deleted, and its recordings with it."""
    text_version: Mapped[str]
    """Of the text that they agreed to."""
    most: Mapped[int]
    """Recordings of the set that are in the corpus at most, by the plan; the first ones."""
    given_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)

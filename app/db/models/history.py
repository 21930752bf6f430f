"""The tables of the history: caption sessions that their accounts asked to keep, and the lines of each."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, Computed, DateTime, Double, ForeignKey, Index, func, select, text
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, column_property, deferred, mapped_column

from app.db.models.base import Base

_MOMENT = DateTime(timezone=True)
_WORDS = (
    "((sentence || ' '::text) || gloss_text) || ' '::text || "
    "COALESCE(corrected_sentence, ''::text) || ' '::text || COALESCE(corrected_gloss_text, ''::text)"
)
#: What the search finds: the words that were recognised and those they were corrected to, by their stems, and as they
#: are: many glosses, such as YOU and HOW, are stop words in English text.
SEARCHED = f"to_tsvector('english'::regconfig, {_WORDS}) || to_tsvector('simple'::regconfig, {_WORDS})"


class CaptionSession(Base):
    """A clip or a live session whose captions are kept. Pictures and landmarks never are."""

    __tablename__ = "caption_sessions"
    __table_args__ = (
        CheckConstraint("kind IN ('clip', 'live')", name="kind"),
        Index("ix_caption_sessions_user_id_started_at", "user_id", "started_at", "id"),
        Index("ix_caption_sessions_started_at", "started_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    """`clip` or `live`."""
    live_session: Mapped[str | None]
    """The `session_id` of a live session."""
    sign_language: Mapped[str]
    """ISO 639-3 code."""
    model: Mapped[str]
    """Id of the checkpoint."""
    vocabulary: Mapped[str]
    """What it was read with at its start."""
    started_at: Mapped[datetime] = mapped_column(_MOMENT)
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """None: it still runs, or the service died meanwhile."""
    duration_s: Mapped[float] = mapped_column(Double, server_default=text("0"))
    """Of the clip; of a live session up to its last line, and at its end the seconds that were used."""
    credits: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """What it cost."""
    lines_lost: Mapped[int] = mapped_column(server_default=text("0"))
    """Lines that could not be kept, because the database was away for too long."""
    if TYPE_CHECKING:
        number_of_lines: Mapped[int]
        """See below."""


class CaptionLine(Base):
    """A sentence of a session: what was recognised, how it came about, and what it should have been."""

    __tablename__ = "caption_lines"
    __table_args__ = (Index("ix_caption_lines_search", "search", postgresql_using="gin"),)

    session_id: Mapped[UUID] = mapped_column(ForeignKey("caption_sessions.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """0, 1, 2 ... of each session."""
    start_ms: Mapped[int] = mapped_column(BigInteger)
    end_ms: Mapped[int] = mapped_column(BigInteger)
    glosses: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """Its signs: gloss, confidence, start_ms, end_ms, unsure."""
    gloss_text: Mapped[str]
    """The glosses, separated by spaces."""
    sentence: Mapped[str]
    """In English."""
    text: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The sentence by language; null: not translated."""
    partials: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    """What was shown before it was final: at_ms, gloss_text, sentence. See app.services.captions.recording."""
    confidence: Mapped[float] = mapped_column(Double)
    vocabulary: Mapped[str]
    """Name of the vocabulary it was read with."""
    lag_ms: Mapped[float] = mapped_column(Double)
    """Live: from the newest frame to the caption; of a clip: how long reading it took."""
    corrected_glosses: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    corrected_gloss_text: Mapped[str | None]
    corrected_sentence: Mapped[str | None]
    corrected_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """None: nobody has corrected it."""
    search: Mapped[Any] = deferred(mapped_column(TSVECTOR, Computed(SEARCHED, persisted=True)))


#: Counted only where a query asks for it.
CaptionSession.number_of_lines = column_property(
    select(func.count()).where(CaptionLine.session_id == CaptionSession.id).scalar_subquery(), deferred=True
)

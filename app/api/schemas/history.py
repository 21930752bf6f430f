"""What the routes of the history accept and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.db.models.history import CaptionLine, CaptionSession
from app.services.history.repository import Listed

_Gloss = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$")]


class _Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)


class Session(_Schema):
    """A stored clip or live session."""

    id: UUID
    kind: Literal["clip", "live"]
    live_session: str | None
    """The `session_id` of a live session."""
    started_at: datetime
    ended_at: datetime | None
    """null: it still runs, or the service died meanwhile."""
    duration_s: float
    """Of the clip, or seconds of live captions."""
    sign_language: str
    """ISO 639-3 code."""
    model: str
    """Id of the checkpoint."""
    vocabulary: str
    """Name of the vocabulary it began with; `custom` for a list of glosses."""
    credits: int
    """What it cost."""
    lines_lost: int
    """Lines that could not be stored, because the database was away for too long."""

    @classmethod
    def fields(cls, row: CaptionSession) -> dict[str, Any]:
        return {name: getattr(row, name) for name in Session.model_fields}


class ListedSession(Session):
    """A session in the list."""

    lines: int
    """Number of its sentences."""
    excerpt: str | None
    """Its first sentence, or the first one that the search has found."""

    @classmethod
    def of(cls, found: Listed) -> ListedSession:
        return cls(**cls.fields(found.session), lines=found.lines, excerpt=found.excerpt)


class Sessions(_Schema):
    """Sessions, newest first."""

    sessions: list[ListedSession]
    cursor: str | None
    """Send it as `cursor` for the next page; null: there are no more."""


class Sign(_Schema):
    """A recognised sign."""

    gloss: str
    confidence: float
    start_ms: int
    end_ms: int
    unsure: bool
    """Whether it may well be another sign, or none of the vocabulary."""


class PartialResult(_Schema):
    """What was shown before a sentence was final."""

    at_ms: int
    """Time up to which frames had been read."""
    gloss_text: str
    sentence: str


class Correction(_Schema):
    """What a line should have been; what was recognised stays beside it."""

    glosses: list[str] | None
    sentence: str | None
    at: datetime


class Line(_Schema):
    """A sentence of a session."""

    number: int
    start_ms: int
    end_ms: int
    glosses: list[Sign]
    sentence: str
    text: dict[str, str | None]
    """The sentence by language; null: not translated."""
    confidence: float
    vocabulary: str
    lag_ms: float
    """Live: from the newest frame to the caption; of a clip: how long reading it took."""
    partials: list[PartialResult]
    """Of a live session: how the sentence came about, at most 64 results."""
    correction: Correction | None
    """null: nobody has corrected it."""

    @classmethod
    def of(cls, row: CaptionLine) -> Line:
        correction = None
        if row.corrected_at is not None:
            correction = Correction(glosses=row.corrected_glosses, sentence=row.corrected_sentence, at=row.corrected_at)
        same = {name: getattr(row, name) for name in cls.model_fields if name != "correction"}
        return cls.model_validate({**same, "correction": correction})


class SessionWithLines(Session):
    """A session and a page of its lines."""

    lines: list[Line]
    after: int | None
    """Send it as `after` for the lines that follow; null: these are the last."""

    @classmethod
    def of(cls, row: CaptionSession, found: list[Line], more: bool) -> SessionWithLines:
        return cls(**cls.fields(row), lines=found, after=found[-1].number if more else None)


class CorrectionRequest(_Schema):
    """What the line should have been: the sentence, the glosses, or both. null takes a correction back."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"sentence": "Hello, who are you?", "glosses": ["HELLO"]}]}
    )

    sentence: str | None = Field(None, min_length=1, max_length=2000, pattern=r"^[^\x00]*$")
    """In English."""
    glosses: list[_Gloss] | None = Field(None, max_length=200)
    """The signs in order; an empty list: there was none."""

    @model_validator(mode="after")
    def _something(self) -> CorrectionRequest:
        if not self.model_fields_set:
            raise ValueError("send 'sentence', 'glosses' or both")
        return self


class Goodbye(_Schema):
    """Confirms that the account is to be deleted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"password": "a few words of your own"}]})

    password: str = Field(max_length=1024)
    """Of the account."""

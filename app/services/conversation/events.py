"""Events that every live session may send, whatever it is about, and how an event passes through the outbox."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Base of all events. Transports only encode them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    slot: ClassVar[int | None] = None
    """None: queued, never dropped. A number: the newest event of a slot replaces the one waiting in it; slots are sent
    when the queue is empty, lowest number first."""
    clears: ClassVar[tuple[int, ...]] = ()
    """Slots whose waiting event this one makes obsolete."""
    kept: ClassVar[bool] = False
    """Kept after sending until the client acknowledges it, and sent again when the session is resumed."""
    outlives_connection: ClassVar[bool] = True
    """Whether it is still useful on a new connection of the client."""

    type: str
    seq: int = 0
    """Increases with every event of the session."""


class Ready(Event):
    """The session has begun, or was resumed after a lost connection."""

    type: Literal["ready"] = "ready"
    session_id: str
    """Identifies the session, for resuming it."""
    resume_token: str
    """Must be sent with `session_id` to resume."""


class Audio(Event):
    """A piece of a finished sentence read aloud, where `start` asked for a voice."""

    outlives_connection: ClassVar[bool] = False
    type: Literal["audio"] = "audio"
    segment: int
    language: str
    rate: int
    """Samples per second."""
    data: str
    """Base64 of 16-bit little-endian mono samples."""
    last: bool
    """Whether it is the last piece of the sentence."""


class Warning(Event):
    """Something was dropped or changed; the session continues."""

    type: Literal["warning"] = "warning"
    code: str
    """Stable name of the warning, for programs."""
    message: str
    """Explanation for people."""


class Error(Event):
    """A message could not be used, or the session ends."""

    type: Literal["error"] = "error"
    code: str
    """Stable name of the error, see below."""
    message: str
    """What happened, why, and what to do."""
    fatal: bool
    """Whether the connection is closed after this event."""


class Closing(Event):
    """The service is shutting down. No caption follows, only an `error` with code `draining` and the close."""

    type: Literal["closing"] = "closing"
    reason: Literal["draining"] = "draining"
    resume_token: str | None = None
    """Null: this session cannot be resumed."""


class Pong(Event):
    """The answer to `ping`."""

    type: Literal["pong"] = "pong"


class Done(Event):
    """The last event of a session that the client ended with `stop`."""

    type: Literal["done"] = "done"

"""What every live session may say to its client, whatever it is about; and how an event travels through the outbox."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Base of all events. What crosses a door is one of these; doors only encode them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    slot: ClassVar[int | None] = None
    """None: queued, and sent whatever happens. A number: the newest event of a slot replaces the one that waits in it;
    slots are sent when the queue is empty, the lowest number first."""
    clears: ClassVar[tuple[int, ...]] = ()
    """Slots whose waiting event this one makes obsolete."""
    kept: ClassVar[bool] = False
    """Kept after it was sent, until the client acknowledges it, and sent again to one that lost its connection."""
    outlives_connection: ClassVar[bool] = True
    """Whether it is still worth sending on a new connection of the client."""

    type: str
    seq: int = 0
    """Grows with every event of the session."""


class Ready(Event):
    """The session has begun, or goes on after a lost connection."""

    type: Literal["ready"] = "ready"
    session_id: str
    """Names the session when it is resumed."""
    resume_token: str
    """Has to be sent with `session_id` then."""


class Warning(Event):
    """Something was left out or changed; the session goes on."""

    type: Literal["warning"] = "warning"
    code: str
    """Stable name of the warning, for programs."""
    message: str
    """For people."""


class Error(Event):
    """A message could not be used, or the session ends."""

    type: Literal["error"] = "error"
    code: str
    """Stable name of the error, see below."""
    message: str
    """What happened, why, and what to do."""
    fatal: bool
    """The connection is closed after this event."""


class Closing(Event):
    """The service shuts down. No caption comes after it; an `error` with code `draining` and the close follow."""

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

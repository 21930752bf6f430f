"""Messages that every client of a live session may send, whatever it is about."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Base of all messages. Unknown fields are ignored, so that newer clients can use this service."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Resume(Message):
    """Resume after a lost connection."""

    session_id: str = Field(max_length=64)
    """From `ready`."""
    token: str = Field(max_length=128)
    """`resume_token` from `ready`."""
    last_seq: int = Field(default=0, ge=0, le=2**53)
    """`seq` of the last event received; finals after it are sent again."""


class Start(Message):
    """Optional, must come first. Without it, the defaults apply from the first frame on, or after a second."""

    type: Literal["start"] = "start"
    resume: Resume | None = None
    """On a new connection, within 30 s of losing the old one: the session continues and no final is lost."""


class Ack(Message):
    """Everything up to `seq` was received and need not be kept."""

    type: Literal["ack"] = "ack"
    seq: int = Field(ge=0, le=2**53)
    """`seq` of the last event received."""


class Ping(Message):
    """Answered by `pong`; keeps an idle session open."""

    type: Literal["ping"] = "ping"


class Stop(Message):
    """End the session: the open sentence becomes final, then `done` is sent."""

    type: Literal["stop"] = "stop"

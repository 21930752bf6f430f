"""What every client of a live session may say, whatever it is about."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Message(BaseModel):
    """Base of all messages. Fields that are not known are ignored, so that newer clients can talk to this service."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Resume(Message):
    """Where a lost connection left off."""

    session_id: str = Field(max_length=64)
    """Of `ready`."""
    token: str = Field(max_length=128)
    """`resume_token` of `ready`."""
    last_seq: int = Field(default=0, ge=0, le=2**53)
    """The last event that arrived; finals after it are sent again."""


class Start(Message):
    """Optional, first. Without it the defaults apply from the first frame, or after a second."""

    type: Literal["start"] = "start"
    resume: Resume | None = None
    """On a new connection, within 30 s of losing the old one: the session goes on and no final is lost."""


class Ack(Message):
    """Everything up to `seq` has arrived and need not be kept."""

    type: Literal["ack"] = "ack"
    seq: int = Field(ge=0, le=2**53)
    """Of the last event that arrived."""


class Ping(Message):
    """Answered by `pong`; keeps an idle session open."""

    type: Literal["ping"] = "ping"


class Stop(Message):
    """Ends the session: what is open becomes final, then `done`."""

    type: Literal["stop"] = "stop"

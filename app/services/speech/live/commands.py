"""Messages from clients of live speech: JSON text, and sound as binary messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from app.core import bounded_json, errors
from app.services.conversation import commands
from app.services.conversation.commands import Ack, Message, Ping, Stop

#: Bytes of a message.
MAX_MESSAGE = 1 << 18


class SpeechStart(commands.Start):
    """Optional, must come first. Without it, the defaults apply from the first sound on, or after a second."""

    language: Literal["en", "es"] | None = None
    """What is spoken; null: detected with each sentence."""
    targets: tuple[Literal["en", "es"], ...] = Field(default=("en", "es"), max_length=2)
    """Languages of the captions."""
    voice: Literal["en", "es"] | None = None
    """Read finished sentences aloud in this language, unless they were spoken in it."""
    own_voice: bool = False
    """In one's own voice (`PUT /api/speech/voice`), as far as the engine can."""
    interim: bool = True
    """Send partials."""
    encoding: Literal["pcm16", "webm"] = "pcm16"
    """Of the sound: 16-bit little-endian mono, or WebM or Ogg with Opus as browsers record it."""
    rate: int = Field(default=16_000, ge=8_000, le=48_000)
    """Samples per second of `pcm16`."""
    endpoint_ms: int = Field(default=500, ge=200, le=5_000)
    """A sentence ends after a pause of this many milliseconds."""
    signs: bool = False
    """Say with each finished sentence how it may be signed: glosses for POST /api/signs/perform."""


class SpeechFlush(Message):
    """End the sentence here, such as when a push-to-talk button is let go."""

    type: Literal["flush"] = "flush"


SpeechMessage = SpeechStart | SpeechFlush | Ack | Ping | Stop
"""All JSON messages of a client, by `type`."""

_JSON = TypeAdapter(Annotated[SpeechMessage, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of sound as it came."""

    data: bytes


def parse_text(text: str) -> Any:
    """A JSON message. Raises ServiceError that says what is wrong."""
    try:
        content = bounded_json.loads(text)
    except (ValueError, RecursionError):
        raise errors.MalformedMessage("The message is not valid JSON, or has too many elements.") from None
    if not isinstance(content, Mapping) or not isinstance(content.get("type"), str):
        raise errors.MalformedMessage("A message is a JSON object with a 'type'; sound is sent as binary messages.")
    try:
        return _JSON.validate_python(content)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    kind = content["type"]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        raise errors.UnknownType(f"unknown message type '{kind[:40]}'; known are start, flush, ack, ping and stop.")
    where = ".".join(str(part) for part in first["loc"][1:]) or "message"
    raise (errors.BadStart if kind == "start" else errors.InvalidMessage)(f"{where}: {first['msg']}")


def parse_binary(data: bytes) -> Sound:
    """Raises InvalidMessage for nothing."""
    if not data:
        raise errors.InvalidMessage("The sound has 0 bytes.")
    return Sound(data)

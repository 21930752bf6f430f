"""Events of live speech, in addition to those of every live session."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.services.conversation import events
from app.services.conversation.events import Audio, Closing, Error, Pong, Warning

#: Slot of the outbox.
PARTIAL = 0


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class SpeechConfig(_Part):
    """The settings in use, as in `start`."""

    language: str | None
    targets: tuple[str, ...]
    voice: str | None
    own_voice: str | None = None
    """What the voice makes of one's own: `cloned`, `fitted` or `none`; null: not asked for."""
    interim: bool
    encoding: str
    rate: int
    endpoint_ms: int
    signs: bool


class SpeechEngines(_Part):
    """Names of the engines; null: none."""

    transcription: str
    translation: str | None
    voice: str | None


class SpeechReady(events.Ready):
    config: SpeechConfig
    """The settings in use."""
    engines: SpeechEngines
    """`transcription`, `translation`, `voice`."""


class Heard(_Part):
    """One word."""

    text: str
    start_ms: int
    end_ms: int
    final: bool
    """Whether two readings in a row agreed on it, and on all before it."""


class Translations(_Part):
    """The caption by language; null: not translated, or not asked for."""

    en: str | None = None
    es: str | None = None


class Signed(_Part):
    """How a sentence may be signed."""

    glosses: tuple[str, ...]
    """Signs that can be shown, in order."""
    without_sign: tuple[str, ...]
    """Words that have none."""


class _SpeechCaption(events.Event):
    segment: int
    """Number of the sentence, from 0."""
    revision: int
    """Increases with every event about this sentence."""
    start_ms: int
    end_ms: int
    language: str
    """What is spoken, ISO 639-1."""
    words: tuple[Heard, ...]
    """`text`, `start_ms`, `end_ms`, `final`."""
    sentence: str
    """What was said."""
    text: Translations
    """The same by language: `en`, `es`."""
    lag_ms: float
    """From the end of the sound that was read to this event."""


class SpeechPartial(_SpeechCaption):
    """What has been heard so far; replaces the one before."""

    slot: ClassVar[int | None] = PARTIAL
    type: Literal["partial"] = "partial"


class SpeechFinal(_SpeechCaption):
    """A finished sentence; sent once, never changed."""

    clears: ClassVar[tuple[int, ...]] = (PARTIAL,)
    kept: ClassVar[bool] = True
    type: Literal["final"] = "final"
    reason: Literal["endpoint", "flush", "too_long", "sentence"]
    """Why it ended: `endpoint` (a pause), `flush`, `too_long`, or `sentence`: the next one has begun."""
    signs: Signed | None = None
    """`glosses`, `without_sign`; null: not asked for, or there is no English text."""


class SpeechStats(events.Event):
    """Statistics of the session: after a second, then every 5 s."""

    type: Literal["stats"] = "stats"
    seconds: float
    """Of sound received."""
    dropped_s: float
    """Of sound dropped under load."""
    lag_ms: float
    credits_remaining: float | None = None


class SpeechUsage(_Part):
    seconds: float
    dropped_s: float
    segments: int


class SpeechDone(events.Done):
    usage: SpeechUsage
    """`seconds` of sound, `dropped_s`, `segments`."""


SpeechEvent = Annotated[
    SpeechReady | SpeechPartial | SpeechFinal | Audio | SpeechStats | Warning | Error | Closing | SpeechDone | Pong,
    Field(discriminator="type"),
]
"""All events of live speech, by `type`."""

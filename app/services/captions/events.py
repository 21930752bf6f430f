"""What live captions say to their client, beside what every live session says; docs/live.md has the table of these."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.services.conversation import events
from app.services.conversation.events import Closing, Error, Pong, Warning

#: Slots of the outbox.
PARTIAL, LANDMARKS = 0, 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Config(_Part):
    """The settings in effect, as in `start`."""

    sign_language: str
    targets: tuple[str, ...]
    interim: bool
    window: int
    stride: int
    endpoint_ms: int
    fps: float
    aspect: float | None
    save: bool
    landmarks: bool


class Model(_Part):
    """The recogniser of this session."""

    id: str
    glosses: int
    """How many it knows."""
    sign_language: str
    """ISO 639-3."""
    fps: float
    """Frames per second that it reads."""


class Limits(_Part):
    """Of this session."""

    idle_s: float
    """Without a message for this many seconds it ends."""
    session_s: float
    """It lasts no longer than this."""
    resume_s: float
    """It can be resumed for this many seconds after its connection was lost."""
    landmark_frames_per_message: int


class Ready(events.Ready):
    config: Config
    """The settings in effect."""
    model: Model
    """The recogniser: `id`, `glosses` (how many), `sign_language`, `fps`."""
    limits: Limits
    """`idle_s`, `session_s`, `resume_s`, `landmark_frames_per_message`."""


class Gloss(_Part):
    """One sign of a sentence."""

    gloss: str
    confidence: float
    """0 to 1."""
    start_ms: int
    end_ms: int
    final: bool
    """It stays, whatever comes."""


class Text(_Part):
    """The sentence by language; null: not translated."""

    en: str
    es: str | None = None


class Attention(_Part):
    """Mean weight of the two streams; their sum is 1."""

    rgb: float
    pose: float


class _Caption(events.Event):
    segment: int
    """Number of the sentence."""
    revision: int
    """Grows with every event about this sentence."""
    start_ms: int
    """Of its first sign."""
    end_ms: int
    """Of its last sign."""
    until_ms: int
    """Read so far."""
    gloss: tuple[Gloss, ...]
    """Its signs: `gloss`, `confidence`, `start_ms`, `end_ms`, `final` (it stays, whatever comes)."""
    gloss_text: str
    """The signs, separated by spaces."""
    sentence: str
    """In English."""
    text: Text
    """The sentence by language: `en`, `es`."""
    confidence: float
    """Mean over the signs, 0 to 1."""
    attention: Attention
    """Mean weight of the two streams, `rgb` and `pose`; their sum is 1."""
    lag_ms: float
    """From the arrival of the newest frame read to this event."""


class Partial(_Caption):
    """How the running sentence stands; replaces the one before."""

    slot: ClassVar[int | None] = PARTIAL

    type: Literal["partial"] = "partial"


class Final(_Caption):
    """A sentence that is over, once; it never changes."""

    clears: ClassVar[tuple[int, ...]] = (PARTIAL,)
    kept: ClassVar[bool] = True

    type: Literal["final"] = "final"
    reason: Literal["endpoint", "flush", "too_long"]
    """Why it ended: `endpoint` (a pause), `flush` or `too_long`."""


class FoundLandmarks(events.Event):
    """The landmarks of an image, where `start` asked for them; at most 12 a second. Replaces the one before; what was
    not sent in time is left out."""

    slot: ClassVar[int | None] = LANDMARKS
    outlives_connection: ClassVar[bool] = False

    type: Literal["landmarks"] = "landmarks"
    points: list[list[float]]
    """[x, y, v] of 75 points, in shares of the image; v = 0 for a point that is missing."""
    at_ms: int
    """Capture time of the image."""


class Stats(events.Event):
    """How the session does: after a second, then every 5 s."""

    type: Literal["stats"] = "stats"
    received: int
    """Frames that came."""
    used: int
    """Frames that were read."""
    dropped: int
    """Frames that were not."""
    lag_ms: float
    """As in the latest caption."""
    fps: float
    """Frames received per second."""
    credits_remaining: float | None = None
    """Null: nothing is counted."""


class Prediction(events.Event):
    """Socket.IO alone, one for each frame: the sign being made."""

    type: Literal["prediction"] = "prediction"
    label: str
    """`none` while there is no sign or its score is under 0.50."""
    score: float
    """0 to 1."""


class Usage(_Part):
    """What the session was."""

    seconds: float
    received: int
    used: int
    dropped: int
    segments: int
    """Sentences."""


class Done(events.Done):
    usage: Usage
    """`seconds`, frames `received`, `used` and `dropped`, `segments` (sentences)."""


CaptionEvent = Annotated[
    Ready | Partial | Final | FoundLandmarks | Stats | Warning | Error | Closing | Done | Pong | Prediction,
    Field(discriminator="type"),
]
"""Everything that a client of live captions may be sent, by `type`."""

"""Events of live captions, in addition to those of every live session; docs/live.md has the table."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.pipeline.recogniser import Recogniser
from app.services.conversation import events
from app.services.conversation.events import Audio, Closing, Error, Pong, Warning

#: Slots of the outbox.
PARTIAL, LANDMARKS = 0, 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Config(_Part):
    """The settings in use, as in `start`."""

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
    voice: str | None
    own_voice: str | None = None
    """What the voice makes of one's own: `cloned`, `fitted` or `none`; null: not asked for."""
    vocabulary: str
    """Its name; `custom` for a list of glosses."""
    sign_sets: tuple[str, ...] = ()


class RecogniserInfo(_Part):
    """The recogniser of this session."""

    id: str
    glosses: int
    """Number of glosses it knows."""
    sign_language: str
    """ISO 639-3 code."""
    fps: float
    """Frame rate, in frames per second."""


class VocabularyInUse(_Part):
    """A vocabulary that a session reads with."""

    name: str
    """`custom` for a list of glosses."""
    glosses: int
    """Number of its glosses."""

    @classmethod
    def of(cls, recogniser: Recogniser) -> VocabularyInUse:
        return cls(name=recogniser.reads, glosses=len(recogniser.vocabulary))


class Limits(_Part):
    """Of this session."""

    idle_s: float
    """The session ends after this many seconds without a message."""
    session_s: float
    """Longest duration of a session, in seconds."""
    resume_s: float
    """It can be resumed within this many seconds of losing its connection."""
    landmark_frames_per_message: int


class Ready(events.Ready):
    config: Config
    """The settings in use."""
    model: RecogniserInfo
    """The recogniser: `id`, `glosses` (the number it knows), `sign_language`, `fps`."""
    vocabulary: VocabularyInUse
    """What it reads: `name` (`custom` for a list of glosses), `glosses` (their number)."""
    history_id: str | None = None
    """Where its captions are kept (`/api/history/ID`); null where they are not."""
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
    """Whether it is final."""
    unsure: bool
    """Whether it may well be another sign, or none of the vocabulary."""


class SentenceText(_Part):
    """The sentence by language; null: not translated."""

    en: str
    es: str | None = None


class StreamWeights(_Part):
    """Mean weight of the two streams; their sum is 1."""

    rgb: float
    pose: float


class _Caption(events.Event):
    segment: int
    """Number of the sentence, from 0."""
    revision: int
    """Increases with every event about this sentence."""
    start_ms: int
    """Start of its first sign."""
    end_ms: int
    """End of its last sign."""
    until_ms: int
    """Time up to which frames have been read."""
    gloss: tuple[Gloss, ...]
    """Its signs: `gloss`, `confidence`, `start_ms`, `end_ms`, `final`, `unsure` (it may well be another sign, or none
    of the vocabulary)."""
    gloss_text: str
    """The signs, separated by spaces."""
    sentence: str
    """In English."""
    by_rules: str | None = None
    """The sentence as the rules made it, where a chat model has rewritten it."""
    text: SentenceText
    """The sentence by language: `en`, `es`."""
    confidence: float
    """Mean over the signs, 0 to 1."""
    attention: StreamWeights
    """Mean weight of the two streams, `rgb` and `pose`; their sum is 1."""
    vocabulary: str
    """Name of the vocabulary it was read with."""
    lag_ms: float
    """From the arrival of the newest frame read to this event."""


class Partial(_Caption):
    """The current state of the running sentence; replaces the one before."""

    slot: ClassVar[int | None] = PARTIAL

    type: Literal["partial"] = "partial"


class Final(_Caption):
    """A finished sentence; sent once, never changed."""

    clears: ClassVar[tuple[int, ...]] = (PARTIAL,)
    kept: ClassVar[bool] = True

    type: Literal["final"] = "final"
    reason: Literal["endpoint", "flush", "too_long"]
    """Why it ended: `endpoint` (a pause), `flush` or `too_long`."""


class VocabularyChanged(events.Event):
    """The answer to `vocabulary`. The sentence that is being signed ends with the vocabulary it began with."""

    type: Literal["vocabulary"] = "vocabulary"
    vocabulary: VocabularyInUse
    """What is read from the next sentence on, as in `ready`."""


class FoundLandmarks(events.Event):
    """The landmarks of an image, where `start` asked for them; at most 12 a second. Replaces the one before; what was
    not sent in time is dropped."""

    slot: ClassVar[int | None] = LANDMARKS
    outlives_connection: ClassVar[bool] = False

    type: Literal["landmarks"] = "landmarks"
    points: list[list[float]]
    """[x, y, v] of 75 points, as fractions of the image; v = 0 for a missing point."""
    at_ms: int
    """Capture time of the image."""


class Stats(events.Event):
    """Statistics of the session: after a second, then every 5 s."""

    type: Literal["stats"] = "stats"
    received: int
    """Frames received."""
    used: int
    """Frames used."""
    dropped: int
    """Frames dropped."""
    lag_ms: float
    """As in the latest caption."""
    fps: float
    """Frames received per second."""
    credits_remaining: float | None = None
    """What the account has left, in credits; null where nothing is charged."""


class Prediction(events.Event):
    """Socket.IO only, one for each frame: the current sign."""

    type: Literal["prediction"] = "prediction"
    label: str
    """`none` while there is no sign or its score is under 0.50."""
    score: float
    """0 to 1."""


class Usage(_Part):
    """Usage of the session."""

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
    Ready
    | Partial
    | Final
    | VocabularyChanged
    | FoundLandmarks
    | Audio
    | Stats
    | Warning
    | Error
    | Closing
    | Done
    | Pong
    | Prediction,
    Field(discriminator="type"),
]
"""All events of live captions, by `type`."""

"""The shapes of requests and answers, as they stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.monitoring.summary import Distribution
from app.services.recognition.service import Outcome

PREDICTION_EXAMPLE: dict[str, Any] = {
    "gloss": ["HELLO", "YOU", "HOW"],
    "sentence": "Hello, how are you?",
    "confidence": 0.91,
    "fps": 25.0,
    "frame_count": 92,
    "duration_s": 3.68,
    "segments": [
        {"gloss": "HELLO", "start_s": 0.32, "end_s": 1.12, "confidence": 0.97},
        {"gloss": "YOU", "start_s": 1.44, "end_s": 1.92, "confidence": 0.88},
        {"gloss": "HOW", "start_s": 2.24, "end_s": 3.2, "confidence": 0.88},
    ],
    "text": {"en": "Hello, how are you?", "es": None},
    "attention": {"rgb": 0.0, "pose": 1.0},
    "warnings": [],
    "processing_time_s": 1.84,
    "model": "asl-everyday",
}


class Segment(BaseModel):
    """One recognised sign."""

    gloss: str = Field(description="Name of the sign, in capitals.")
    start_s: float = Field(ge=0, description="Where it begins, in seconds from the start of the clip.")
    end_s: float = Field(ge=0, description="Where it ends, in seconds.")
    confidence: float = Field(ge=0, le=1, description="How likely it is right, 0..1, calibrated on unseen signers.")


class Text(BaseModel):
    """The sentence by language."""

    en: str = Field(description="English; the same as `sentence`.")
    es: str | None = Field(None, description="Spanish. Always null in this version: translation is not built yet.")


class Attention(BaseModel):
    """How much each stream of the model counted, 0..1. Both are 0 where the model did not run (no person)."""

    rgb: float = Field(ge=0, le=1, description="The picture itself; 0 for a checkpoint that reads landmarks only.")
    pose: float = Field(ge=0, le=1, description="The landmarks of body and hands.")


class ClipWarningModel(BaseModel):
    """Something to know about an answer that is valid all the same."""

    code: Literal["no_person", "no_hands"] = Field(description="Stable name, for programs.")
    message: str = Field(description="The same for people.")


class Prediction(BaseModel):
    """What was signed in a clip."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION_EXAMPLE]})

    gloss: list[str] = Field(description="The signs in order; empty when none was recognised.")
    sentence: str = Field(description="The signs as an English sentence; empty when none was recognised.")
    confidence: float = Field(ge=0, le=1, description="Mean confidence of the signs; 0 when there is none.")
    fps: float = Field(gt=0, description="Frames per second the recogniser worked at.")
    frame_count: int = Field(ge=0, description="Frames it looked at.")
    duration_s: float = Field(ge=0, description="Length of the clip in seconds.")
    segments: list[Segment] = Field(description="The signs with their times.")
    text: Text
    attention: Attention
    warnings: list[ClipWarningModel] = Field(description="For example that no person was found; usually empty.")
    processing_time_s: float = Field(ge=0, description="Seconds from the end of the upload to this answer.")
    model: str = Field(description="Id of the checkpoint that answered.")

    @classmethod
    def of(cls, outcome: Outcome) -> Prediction:
        times = {"processing_time_s": round(outcome.processing_time_s, 4)}
        return cls.model_validate({**outcome.caption.as_clip(), **times})


#: One frame: base64 text. Its length is bounded by the body limit; the pattern only keeps the empty string out.
_Base64 = Annotated[str, StringConstraints(min_length=1)]


class FramesRequest(BaseModel):
    """Pictures of one clip, in order, all of one size."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"frames": ["/9j/4AAQSkZJRgABAQ...", "/9j/4AAQSkZJRgABAQ..."], "fps": 25}]},
    )

    frames: list[_Base64] = Field(
        min_length=1, max_length=6000, description="JPEG files in base64, with or without a data: prefix."
    )
    fps: float | None = Field(None, ge=1, le=240, description="Frames per second of equally spaced frames. Default 25.")
    timestamps_ms: list[Annotated[float, Field(ge=0, le=1e15)]] | None = Field(
        None, max_length=6000, description="Instead of fps: the time of each frame in milliseconds, growing."
    )

    @model_validator(mode="after")
    def _one_clock(self) -> FramesRequest:
        if self.timestamps_ms is None:
            return self
        if self.fps is not None:
            raise ValueError("send either fps or timestamps_ms, not both")
        if len(self.timestamps_ms) != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames but {len(self.timestamps_ms)} timestamps_ms")
        if any(later <= earlier for earlier, later in zip(self.timestamps_ms, self.timestamps_ms[1:], strict=False)):
            raise ValueError("timestamps_ms must grow from frame to frame")
        return self

    def times_s(self) -> list[float]:
        """Capture time of each frame in seconds, from 0."""
        if self.timestamps_ms is None:
            rate = self.fps or 25.0
            return [index / rate for index in range(len(self.frames))]
        return [(time - self.timestamps_ms[0]) / 1000 for time in self.timestamps_ms]


class LandmarksRequest(BaseModel):
    """Landmarks of one clip: `points`, or the three blocks `pose`, `left` and `right`. For the document only:
    the landmark reader itself checks what is sent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"fps": 25, "width": 640, "height": 480, "points": [[[0.51, 0.22, 0.99]]]}]}
    )

    fps: float = Field(ge=1, le=240, description="Frames per second.")
    width: int | None = Field(None, ge=1, description="Width of the picture in pixels, for its shape (default 4:3).")
    height: int | None = Field(None, ge=1, description="Height of the picture in pixels.")
    points: list[list[list[float]]] | None = Field(
        None,
        description="(frames, 75, 3): 33 pose points, 21 of the left, 21 of the right hand, in MediaPipe's order; "
        "x and y as a share of width and height; visibility (hands: presence, 0 or 1).",
    )
    pose: list[list[list[float]]] | None = Field(None, description="(frames, 33, 3): x, y, visibility.")
    left: list[list[list[float]]] | None = Field(None, description="(frames, 21, 2): x, y; zeros where it is missing.")
    right: list[list[list[float]]] | None = Field(None, description="(frames, 21, 2): x, y; zeros where it is missing.")


class Health(BaseModel):
    """Whether the service does its work."""

    status: Literal["healthy", "starting", "unhealthy"] = Field(description="`healthy` when a request would be served.")
    gpu_available: bool = Field(description="Does PyTorch see a CUDA device?")
    model_loaded: bool = Field(description="Is the recogniser in memory?")


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """Requests would be served now."""

    status: Literal["ready"] = "ready"
    model: str = Field(description="Id of the loaded checkpoint.")
    device: str = Field(description="Where it computes.")
    database: Literal["ok", "unavailable", "off"] = Field(description="Training needs it, recognition does not.")


class Healthz(BaseModel):
    """The short form, for simple clients."""

    status: Literal["ok"] = "ok"
    model: str = Field(description="Id of the loaded checkpoint.")


class Memory(BaseModel):
    """Bytes."""

    resident_bytes: int = Field(description="Memory of this process, child processes included.")
    available_bytes: int = Field(description="Memory the machine has left.")
    total_bytes: int


class Load(BaseModel):
    """Requests inside, and how many fit."""

    requests: int = Field(description="Recognition requests running and waiting.")
    requests_limit: int = Field(description="MAX_CONCURRENT_REQUESTS.")
    streams: int = Field(description="Live streams open.")
    streams_limit: int = Field(description="MAX_CLIENTS.")


class Spread(BaseModel):
    """A distribution in short, over the life of the process. The percentiles are estimated from histogram buckets."""

    count: int
    mean_ms: float
    p50_ms: float
    p95_ms: float

    @classmethod
    def of(cls, found: Distribution) -> Spread | None:
        """None where nothing was measured yet."""
        if not found.count:
            return None
        mean, p50, p95 = (round(s * 1000, 3) for s in (found.mean, found.quantile(0.5), found.quantile(0.95)))
        return cls(count=found.count, mean_ms=mean, p50_ms=p50, p95_ms=p95)


class Frames(BaseModel):
    """Frames of live sessions since the start."""

    received: int
    used: int = Field(description="Given to the recogniser.")
    dropped: int = Field(description="Thrown away: too many at once, unreadable, or sent while paused.")


class Live(BaseModel):
    """Live captions since the start of the process."""

    sessions: int = Field(description="Open now, those whose client may still come back included.")
    connected: int = Field(description="Of these, with a client.")
    opened: int = Field(description="Sessions since the start.")
    refused: dict[str, int] = Field(description="Clients that got no session, by reason.")
    frames: Frames
    caption_lag: Spread | None = Field(
        description="From the arrival of the newest frame to the captions that have read it; null before the first."
    )


class System(BaseModel):
    """What runs where."""

    version: str
    python: str
    torch: str
    device: str | None = Field(description="Where the recogniser computes; null before it is loaded.")
    amp: bool = Field(description="Mixed precision in use (CUDA only).")
    cpu_count: int
    load: Load
    live: Live
    stages: dict[str, dict[str, Spread]] = Field(
        description="Time of one piece of work by stage and by `clip` or `live`; only stages that have run."
    )
    memory: Memory
    gpus: list[dict[str, Any]] = Field(description="One entry per NVIDIA card: name, memory, load, temperature.")
    uptime_s: float


class Served(BaseModel):
    """What the loaded recogniser has read since the start."""

    clips: int
    clip_calls: int = Field(description="Calls of the model for clips.")
    clips_per_call: float = Field(description="0 before the first call.")
    windows: int = Field(description="Windows of live sessions.")
    window_calls: int = Field(description="Calls of the network for live sessions.")
    windows_per_call: float = Field(description="0 before the first call.")


class Model(BaseModel):
    """A checkpoint in CHECKPOINT_DIR."""

    id: str
    loaded: bool = Field(description="Is it the one that answers?")
    vocabulary_size: int | None = Field(description="Number of glosses; known for the loaded one.")
    sign_language: str | None = Field(description="ISO 639-3 code, `ase` for ASL; known for the loaded one.")
    served: Served | None = Field(description="What it has read so far; null for those not loaded.")


class Models(BaseModel):
    models: list[Model]


class Label(BaseModel):
    id: int = Field(ge=1, description="Number of the gloss in the model; 0 is the CTC blank and no gloss.")
    gloss: str


class Labels(BaseModel):
    """The numbered vocabulary."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "asl-everyday", "labels": [{"id": 1, "gloss": "AGAIN"}]}]}
    )

    model: str
    labels: list[Label]

"""Requests and answers of clip recognition: frames and landmarks in, a prediction out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary

PREDICTION_EXAMPLE: dict[str, Any] = {
    "gloss": ["HELLO", "YOU", "HOW"],
    "sentence": "Hello, how are you?",
    "confidence": 0.7533,
    "fps": 25.0,
    "frame_count": 92,
    "duration_s": 3.68,
    "segments": [
        {"gloss": "HELLO", "start_s": 0.32, "end_s": 1.12, "confidence": 0.97, "unsure": False},
        {"gloss": "YOU", "start_s": 1.44, "end_s": 1.92, "confidence": 0.88, "unsure": False},
        {"gloss": "HOW", "start_s": 2.24, "end_s": 3.2, "confidence": 0.41, "unsure": True},
    ],
    "text": {"en": "Hello, how are you?", "es": "Hola, ¿cómo estás?"},
    "attention": {"rgb": 0.0, "pose": 1.0},
    "warnings": [
        {
            "code": "low_confidence",
            "message": "Unsure signs, 1 of 3: HOW. Such a sign may be another one, or none of the vocabulary.",
        }
    ],
    "processing_time_s": 1.84,
    "model": "asl-large",
    "vocabulary": "all",
}


VOCABULARY = (
    "Name of a vocabulary (GET /api/vocabularies), or a list of glosses, to read with; default: `everyday` where the "
    "recogniser has it, else all it knows. Goes before the one of the query."
)

SIGN_SETS = (
    "Ids of sign sets (GET /api/signs/sets), or tokens of shared ones: read with them alone, or together with the "
    "vocabulary, if one is named. They go before those of the query."
)

#: A grey JPEG of 16x16 pixels, the smallest that is accepted.
_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqmx5mo"
    "q6T/wAALCAAQABABAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AAP/Z"
)
#: One frame of landmarks: 33 body points, 21 of the left and 21 of the right hand.
_POINTS: list[Any] = [[0.5, 0.5, 0.99]] * 33 + [[0.4, 0.6, 1]] * 21 + [[0.6, 0.6, 1]] * 21


class Segment(BaseModel):
    """One recognised sign."""

    gloss: str = Field(description="Name of the sign, in capitals.")
    start_s: float = Field(ge=0, description="Start, in seconds from the start of the clip.")
    end_s: float = Field(ge=0, description="End, in seconds.")
    confidence: float = Field(
        ge=0, le=1, description="Probability of being correct, 0..1, calibrated on unseen signers."
    )
    unsure: bool = Field(description="Whether it may well be another sign, or none of the vocabulary.")


class Text(BaseModel):
    """The sentence in each language."""

    en: str = Field(description="English; the same as `sentence`.")
    es: str | None = Field(None, description="Spanish; null where no translator is installed, or the plan has none.")


class Attention(BaseModel):
    """Weight of each stream of the model, 0..1. Both are 0 if the model did not run (no person in the clip)."""

    rgb: float = Field(ge=0, le=1, description="The image stream; 0 for a checkpoint that reads landmarks only.")
    pose: float = Field(ge=0, le=1, description="The landmark stream.")


class ClipWarningModel(BaseModel):
    """A remark on a valid answer."""

    code: Literal["no_person", "no_hands", "low_confidence"] = Field(description="Stable name, for programs.")
    message: str = Field(description="Explanation for people.")


class Prediction(BaseModel):
    """The signs recognised in a clip."""

    model_config = ConfigDict(json_schema_extra={"examples": [PREDICTION_EXAMPLE]})

    gloss: list[str] = Field(description="The signs in order; empty when none was recognised.")
    sentence: str = Field(description="The signs as an English sentence; empty when none was recognised.")
    by_rules: str | None = Field(
        None, description="The sentence as the rules made it, where a chat model has rewritten it; null else."
    )
    confidence: float = Field(ge=0, le=1, description="Mean confidence of the signs; 0 when there is none.")
    fps: float = Field(gt=0, description="Frame rate of the recogniser, in frames per second.")
    frame_count: int = Field(ge=0, description="Frames processed.")
    duration_s: float = Field(ge=0, description="Length of the clip in seconds.")
    segments: list[Segment] = Field(description="The signs with their times.")
    text: Text
    attention: Attention
    warnings: list[ClipWarningModel] = Field(
        description="For example, that no person was found or that signs are unsure; usually empty."
    )
    processing_time_s: float = Field(ge=0, description="Seconds from the end of the upload to this answer.")
    model: str = Field(description="Id of the checkpoint that produced this answer.")
    vocabulary: str = Field(description="Name of the vocabulary it was read with; `custom` for a list of glosses.")

    @classmethod
    def of(cls, outcome: ClipResult) -> Prediction:
        times = {"processing_time_s": round(outcome.processing_time_s, 4)}
        return cls.model_validate({**outcome.caption.as_clip(), **times})


#: One frame: base64 text. Its length is bounded by the body limit; the pattern only keeps the empty string out.
_Base64 = Annotated[str, StringConstraints(min_length=1)]


class FramesRequest(BaseModel):
    """The frames of one clip, in order, all of the same size."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"frames": [_JPEG, _JPEG], "fps": 25}]})

    frames: list[_Base64] = Field(
        min_length=1, max_length=6000, description="JPEG files in base64, with or without a data: prefix."
    )
    fps: float | None = Field(None, ge=1, le=240, description="Frames per second of equally spaced frames. Default 25.")
    timestamps_ms: list[Annotated[float, Field(ge=0, le=1e15)]] | None = Field(
        None,
        max_length=6000,
        description="Instead of fps: the time of each frame in milliseconds, strictly increasing.",
    )
    vocabulary: Vocabulary = Field(None, description=VOCABULARY)
    sign_sets: list[Annotated[str, Field(max_length=80)]] = Field([], max_length=8, description=SIGN_SETS)

    @model_validator(mode="after")
    def _one_clock(self) -> FramesRequest:
        if self.timestamps_ms is None:
            return self
        if self.fps is not None:
            raise ValueError("send either fps or timestamps_ms, not both")
        if len(self.timestamps_ms) != len(self.frames):
            raise ValueError(f"{len(self.frames)} frames but {len(self.timestamps_ms)} timestamps_ms")
        if any(later <= earlier for earlier, later in zip(self.timestamps_ms, self.timestamps_ms[1:], strict=False)):
            raise ValueError("timestamps_ms must increase from frame to frame")
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
        json_schema_extra={"examples": [{"fps": 25, "width": 640, "height": 480, "points": [_POINTS]}]}
    )

    fps: float = Field(ge=1, le=240, description="Frames per second.")
    width: int | None = Field(
        None, ge=1, description="Image width in pixels; with height, gives the aspect ratio (default 4:3)."
    )
    height: int | None = Field(None, ge=1, description="Image height in pixels.")
    points: list[list[list[float]]] | None = Field(
        None,
        description="(frames, 75, 3): 33 pose points, 21 of the left, 21 of the right hand, in MediaPipe's order; "
        "x and y as a share of width and height; visibility (hands: presence, 0 or 1).",
    )
    pose: list[list[list[float]]] | None = Field(None, description="(frames, 33, 3): x, y, visibility.")
    left: list[list[list[float]]] | None = Field(None, description="(frames, 21, 2): x, y; zeros for a missing hand.")
    right: list[list[list[float]]] | None = Field(None, description="(frames, 21, 2): x, y; zeros for a missing hand.")
    vocabulary: Vocabulary = Field(None, description=VOCABULARY)
    sign_sets: list[Annotated[str, Field(max_length=80)]] = Field([], max_length=8, description=SIGN_SETS)

"""What a live client may say, read from JSON text or binary messages, and the faults it is told about by name."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from app.core import bounded_json
from app.pipeline.keypoints import NUM_KEYPOINTS

#: Version, kind, flags, sequence number, capture time in microseconds; little-endian.
BINARY_HEADER = struct.Struct("<BBHIQ")
#: Larger messages end the session: a picture or a second of landmarks is far smaller.
MAX_MESSAGE = 1 << 20
#: Landmark frames in one binary message: four seconds at 25 frames per second.
MAX_LANDMARK_FRAMES = 100
#: Landmarks lie in the picture or near it; what is further out is no landmark.
MAX_COORDINATE = 8.0
_MAX_COORDINATE_BITS = int(np.float16(MAX_COORDINATE).view(np.uint16))


class Close(IntEnum):
    """WebSocket close codes."""

    NORMAL = 1000
    UNSUPPORTED = 1003
    INVALID = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    DRAINING = 1012
    FULL = 1013
    BAD_START = 4400
    IDLE = 4408
    TOO_LONG = 4410
    TOO_FAST = 4429


class LiveError(Exception):
    """A message that cannot be used. `close` is set where the session ends with it."""

    def __init__(self, code: str, message: str, close: Close | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.close = code, message, close


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Resume(_Message):
    """Where a lost connection left off."""

    session_id: str = Field(max_length=64)
    token: str = Field(max_length=128)
    last_seq: int = Field(default=0, ge=0, le=2**53)


class Start(_Message):
    """Settings of a session; all optional, and so is the message."""

    type: Literal["start"] = "start"
    sign_language: str | None = Field(default=None, max_length=16)  # None: that of the recogniser
    targets: tuple[Annotated[str, Field(max_length=8)], ...] = Field(default=("en",), max_length=4)
    interim: bool = True
    window: int | None = Field(default=None, ge=16, le=512)
    stride: int | None = Field(default=None, ge=8, le=512)
    endpoint_ms: int = Field(default=1200, ge=300, le=10_000)
    fps: float = Field(default=25.0, ge=1, le=120, allow_inf_nan=False)
    aspect: float | None = Field(default=None, ge=0.1, le=10, allow_inf_nan=False)  # None: as the pictures are
    save: bool = False
    landmarks: bool = False
    resume: Resume | None = None


class _FrameMessage(_Message):
    type: Literal["frame"]
    data: str | bytes  # base64; bytes where the door can carry them
    timestamp: float | None = Field(default=None, ge=0, le=1e15, allow_inf_nan=False)


class _LandmarksMessage(_Message):
    type: Literal["landmarks"]
    points: list[list[float]]
    timestamp: float | None = Field(default=None, ge=0, le=1e15, allow_inf_nan=False)


class Flush(_Message):
    """End the sentence now."""

    type: Literal["flush"]


class Pause(_Message):
    """Frames are ignored until `paused` is false again; the sentence ends."""

    type: Literal["pause"]
    paused: bool = True


class Ack(_Message):
    """Everything up to `seq` has arrived."""

    type: Literal["ack"]
    seq: int = Field(ge=0, le=2**53)


class Ping(_Message):
    """Answered with `pong`; keeps the session from being idle."""

    type: Literal["ping"]


class Stop(_Message):
    """End the session: what is open becomes final, then `done`."""

    type: Literal["stop"]


_JSON = TypeAdapter(
    Annotated[
        Start | _FrameMessage | _LandmarksMessage | Flush | Pause | Ack | Ping | Stop, Field(discriminator="type")
    ]
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A compressed picture; time_us: capture time in microseconds on the client's clock, if it told."""

    data: bytes
    time_us: int | None = None


@dataclass(frozen=True, slots=True)
class Landmarks:
    """points float16 or float32 (n, 75, 3), n >= 1; time_us: capture time of the first frame."""

    points: NDArray[np.floating]
    time_us: int | None = None


Command = Start | Picture | Landmarks | Flush | Pause | Ack | Ping | Stop


def parse_text(text: str) -> Command:
    """A JSON message. Raises LiveError that names the fault."""
    try:
        content = bounded_json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise LiveError("malformed_message", "The message is not valid JSON, or has too many elements.") from None
    return parse_object(content)


def parse_object(content: object) -> Command:
    """A message as a decoded object. Raises LiveError."""
    if not isinstance(content, Mapping):
        raise LiveError("malformed_message", f"A message is a JSON object, not {_kind(content)}.")
    if not isinstance(content.get("type"), str):
        raise LiveError("malformed_message", "The message has no 'type', such as 'frame' or 'landmarks'.")
    try:
        message = _JSON.validate_python(content)
    except ValidationError as problem:
        raise _refusal(content["type"], problem) from None
    match message:
        case _FrameMessage():
            return Picture(_picture(message.data), _microseconds(message.timestamp))
        case _LandmarksMessage():
            return Landmarks(_points(message.points), _microseconds(message.timestamp))
        case _:
            return message


def parse_binary(data: bytes) -> Picture | Landmarks:
    """A binary message: the 16-byte header, then a JPEG, a WebP or float16 landmarks. Raises LiveError."""
    if len(data) < BINARY_HEADER.size:
        raise LiveError(
            "malformed_message", f"A binary message begins with a header of 16 bytes; this one has {len(data)}."
        )
    version, kind, _flags, _sequence, time_us = BINARY_HEADER.unpack_from(data)
    if version != 1:
        raise LiveError("malformed_message", f"The binary header has version {version}; this service reads version 1.")
    payload = data[BINARY_HEADER.size :]
    if kind in (1, 2):
        if not payload:
            raise LiveError("invalid_frame", "The picture has 0 bytes.")
        return Picture(payload, time_us)
    if kind == 3:
        size = NUM_KEYPOINTS * 3 * 2
        count, odd = divmod(len(payload), size)
        if odd or not 1 <= count <= MAX_LANDMARK_FRAMES:
            raise LiveError(
                "invalid_landmarks",
                f"Landmarks are float16 of 75 x 3 values, {size} bytes a frame, 1 to {MAX_LANDMARK_FRAMES} frames a "
                f"message; got {len(payload)} bytes.",
            )
        bits = np.frombuffer(payload, "<u2")
        points = bits.view("<f2").reshape(count, NUM_KEYPOINTS, 3)
        # This runs for every frame of every client. Without their signs, float16 numbers have the order of their bits,
        # infinity and NaN on top.
        if np.maximum.reduce(bits & 0x7FFF) > _MAX_COORDINATE_BITS:
            checked_points(points.astype(np.float32))
        return Landmarks(points, time_us)
    raise LiveError("malformed_message", f"The binary header names kind {kind}; 1 is JPEG, 2 WebP, 3 landmarks.")


def checked_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same points. Raises LiveError for NaN, infinity or places far outside the picture."""
    peak = np.abs(points).max()  # NaN anywhere comes out as NaN here
    if not np.isfinite(peak):
        raise LiveError("invalid_landmarks", "The landmarks hold NaN or infinite values; send 0 for missing points.")
    if peak > MAX_COORDINATE:
        raise LiveError(
            "invalid_landmarks",
            "The landmarks lie far outside the picture: x and y are shares of its width and height, 0 to 1.",
        )
    return points


def _points(points: list[list[float]]) -> NDArray[np.float32]:
    if len(points) != NUM_KEYPOINTS or any(len(p) != 3 for p in points):
        raise LiveError(
            "invalid_landmarks",
            f"Landmarks are {NUM_KEYPOINTS} points of x, y and visibility (33 pose, 21 left hand, 21 right hand); got "
            f"{len(points)}.",
        )
    with np.errstate(over="ignore"):
        return checked_points(np.asarray(points, np.float64).astype(np.float32)[None])


def _picture(content: str | bytes) -> bytes:
    data = content if isinstance(content, bytes) else _base64(content)
    if not data:
        raise LiveError("invalid_frame", "The picture has 0 bytes.")
    return data


def _base64(text: str) -> bytes:
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise LiveError("invalid_frame", "The picture is not base64. Send base64 of a JPEG.") from None


def _microseconds(timestamp_ms: float | None) -> int | None:
    return None if timestamp_ms is None else int(timestamp_ms * 1000)


def _refusal(kind: str, problem: ValidationError) -> LiveError:
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return LiveError(
            "unknown_type",
            f"'{kind[:40]}' is no message type; known are start, frame, landmarks, flush, pause, ack, ping and stop.",
        )
    where = ".".join(str(part) for part in first["loc"][1:]) or "message"
    close = Close.BAD_START if kind == "start" else None
    return LiveError("bad_start" if kind == "start" else "invalid_message", f"{where}: {first['msg']}", close)


def _kind(content: Any) -> str:
    return {list: "an array", str: "a string", bool: "true or false", type(None): "null"}.get(type(content), "a number")


def _no_constant(name: str) -> float:
    # Python's reader accepts NaN and Infinity, which JSON does not have; they are told apart by checked_points.
    return math.nan if name == "NaN" else math.inf

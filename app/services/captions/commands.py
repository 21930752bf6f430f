"""Messages from clients of live captions, read from JSON text or binary messages."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, FailFast, Field, TypeAdapter, ValidationError

from app.core import bounded_json, errors
from app.pipeline.keypoints import NUM_KEYPOINTS
from app.pipeline.module1_preprocessing.images import bytes_from_base64
from app.services.conversation import commands
from app.services.conversation.commands import Ack, Message, Ping, Stop
from app.services.recognition.vocabularies import Vocabulary

#: Version, kind, flags, sequence number, capture time in microseconds; little-endian.
BINARY_HEADER = struct.Struct("<BBHIQ")
#: A binary message that begins with these bytes is a JPEG without a header.
JPEG_START = b"\xff\xd8\xff"
#: Larger messages end the session; an image or a second of landmarks is far smaller.
MAX_MESSAGE = 1 << 20
#: Landmark frames in one binary message: four seconds at 25 frames per second.
MAX_LANDMARK_FRAMES = 100
#: Landmarks are in the image or near it; coordinates beyond this are refused.
MAX_COORDINATE = 8.0
_MAX_COORDINATE_BITS = int(np.float16(MAX_COORDINATE).view(np.uint16))


SignSetNames = Annotated[tuple[Annotated[str, Field(max_length=80)], ...], Field(max_length=8)]


class Start(commands.Start):
    """Optional, must come first. Without it, the defaults apply from the first frame on, or after a second."""

    vocabulary: Vocabulary = None
    """Name of a vocabulary, or a list of glosses; default: `everyday` where the recogniser has it, else all; with
    `sign_sets`: none."""
    sign_sets: SignSetNames = ()
    """Ids of sign sets, or tokens of shared ones, to read with: alone, or together with a vocabulary."""
    sign_language: str | None = Field(default=None, max_length=16)
    """ISO 639-3 code; default: that of the recogniser."""
    targets: tuple[Annotated[str, Field(max_length=8)], ...] = Field(default=("en",), max_length=4)
    """Languages of the sentences."""
    voice: Literal["en", "es"] | None = None
    """Read finished sentences aloud in this language, which becomes one of `targets`."""
    own_voice: bool = False
    """In one's own voice (`PUT /api/speech/voice`), as far as the engine can."""
    interim: bool = True
    """Send partials."""
    window: int | None = Field(default=None, ge=16, le=512)
    """Frames in a window."""
    stride: int | None = Field(default=None, ge=8, le=512)
    """Frames between the starts of two windows."""
    endpoint_ms: int = Field(default=1200, ge=300, le=10_000)
    """A sentence ends after a pause of this many milliseconds."""
    fps: float = Field(default=25.0, ge=1, le=120, allow_inf_nan=False)
    """Frame rate of landmarks that are sent without timestamps."""
    aspect: float | None = Field(default=None, ge=0.1, le=10, allow_inf_nan=False)
    """Width / height of the image; default: that of the first image, 4/3 for landmarks."""
    save: bool = False
    """Keep the captions in the history of the account. Without one, nothing is stored; the warning `not_available`
    says so."""
    landmarks: bool = False
    """Send back the landmarks of images, for drawing."""
    follow: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{32,64}$")
    """A random secret of the client: who has its hash may read the captions along (`GET /api/live/follow`)."""


class FrameMessage(Message):
    """A JPEG or WebP."""

    type: Literal["frame"] = "frame"
    data: str | bytes = Field(validation_alias=AliasChoices("data", "image", "frame"))
    """Base64 or a `data:` URL (over Socket.IO also bytes); the names `image` and `frame` are accepted too."""
    timestamp: float | None = Field(default=None, ge=0, le=1e15, allow_inf_nan=False)
    """Capture time in milliseconds on any clock; optional."""


class LandmarksMessage(Message):
    """Landmarks of one frame, in the layout of the README: the image never leaves the device."""

    type: Literal["landmarks"] = "landmarks"
    points: Annotated[list[Annotated[list[float], FailFast()]], FailFast()]
    """[x, y, v] of 75 points."""
    timestamp: float | None = Field(default=None, ge=0, le=1e15, allow_inf_nan=False)
    """As in `frame`."""


class ChangeVocabulary(Message):
    """Read with another vocabulary from the next sentence on; answered by the event `vocabulary`."""

    type: Literal["vocabulary"] = "vocabulary"
    vocabulary: Vocabulary
    """As in `start`; null: the default one."""
    sign_sets: SignSetNames = ()
    """As in `start`."""


class Flush(Message):
    """End the sentence here."""

    type: Literal["flush"] = "flush"


class Pause(Message):
    """End the sentence and ignore frames until `paused` is false again."""

    type: Literal["pause"] = "pause"
    paused: bool = True
    """False: read frames again."""


JsonMessage = Start | FrameMessage | LandmarksMessage | ChangeVocabulary | Flush | Pause | Ack | Ping | Stop
"""All JSON messages of a client, by `type`."""

_JSON = TypeAdapter(Annotated[JsonMessage, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class Picture:
    """A compressed image. Raises InvalidFrame for one of 0 bytes."""

    data: bytes
    time_us: int | None = None
    """Capture time in microseconds on the client's clock, if it was sent."""

    def __post_init__(self) -> None:
        if not self.data:
            raise errors.InvalidFrame("The image has 0 bytes.")


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Landmarks of some frames."""

    points: NDArray[np.floating]
    """float16 or float32 (n, 75, 3), n >= 1."""
    time_us: int | None = None
    """Capture time of the first frame in microseconds on the client's clock, if it was sent."""


Command = Start | Picture | Landmarks | ChangeVocabulary | Flush | Pause | Ack | Ping | Stop


def parse_text(text: str) -> Command:
    """A JSON message. Raises ServiceError that says what is wrong."""
    try:
        content = bounded_json.loads(text)
    except (ValueError, RecursionError):
        raise errors.MalformedMessage("The message is not valid JSON, or has too many elements.") from None
    return parse_object(content)


def parse_object(content: object) -> Command:
    """A message as a decoded object. Raises ServiceError."""
    if not isinstance(content, Mapping):
        raise errors.MalformedMessage(f"A message is a JSON object, not {_kind(content)}.")
    if not isinstance(content.get("type"), str):
        raise errors.MalformedMessage("The message has no 'type', such as 'frame' or 'landmarks'.")
    try:
        message = _JSON.validate_python(content)
    except ValidationError as problem:
        raise _refusal(content["type"], problem) from None
    match message:
        case FrameMessage():
            return Picture(_picture(message.data), _microseconds(message.timestamp))
        case LandmarksMessage():
            return Landmarks(_points(message.points), _microseconds(message.timestamp))
        case _:
            return message


def parse_binary(data: bytes) -> Picture | Landmarks:
    """A binary message: the 16-byte header, then a JPEG, a WebP or float16 landmarks; or a JPEG alone, whose first
    bytes no header has. Raises ServiceError."""
    if data.startswith(JPEG_START):
        return Picture(data)
    if len(data) < BINARY_HEADER.size:
        raise errors.MalformedMessage(f"A binary message begins with a header of 16 bytes; this one has {len(data)}.")
    version, kind, _flags, _sequence, time_us = BINARY_HEADER.unpack_from(data)
    if version != 1:
        raise errors.MalformedMessage(f"The binary header has version {version}; this service reads version 1.")
    payload = data[BINARY_HEADER.size :]
    if kind in (1, 2):
        return Picture(payload, time_us)
    if kind == 3:
        size = NUM_KEYPOINTS * 3 * 2
        count, odd = divmod(len(payload), size)
        if odd or not 1 <= count <= MAX_LANDMARK_FRAMES:
            raise errors.InvalidLandmarks(
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
    raise errors.MalformedMessage(f"The binary header names kind {kind}; 1 is JPEG, 2 WebP, 3 landmarks.")


def checked_points(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same points. Raises ServiceError for NaN, infinity or points far outside the image."""
    peak = np.abs(points).max()  # NaN anywhere comes out as NaN here
    if not np.isfinite(peak):
        raise errors.InvalidLandmarks("The landmarks contain NaN or infinite values; send 0 for missing points.")
    if peak > MAX_COORDINATE:
        raise errors.InvalidLandmarks(
            "The landmarks are far outside the image: x and y are fractions of its width and height, 0 to 1.",
        )
    return points


def _points(points: list[list[float]]) -> NDArray[np.float32]:
    if len(points) != NUM_KEYPOINTS or any(len(p) != 3 for p in points):
        raise errors.InvalidLandmarks(
            f"Landmarks are {NUM_KEYPOINTS} points of x, y and visibility (33 pose, 21 left hand, 21 right hand); got "
            f"{len(points)}.",
        )
    with np.errstate(over="ignore"):
        return checked_points(np.asarray(points, np.float64).astype(np.float32)[None])


def _picture(content: str | bytes) -> bytes:
    try:
        return content if isinstance(content, bytes) else bytes_from_base64(content)
    except ValueError:
        raise errors.InvalidFrame("The image is not base64. Send base64 of a JPEG.") from None


def _microseconds(timestamp_ms: float | None) -> int | None:
    return None if timestamp_ms is None else int(timestamp_ms * 1000)


def _refusal(kind: str, problem: ValidationError) -> errors.ServiceError:
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return errors.UnknownType(
            f"unknown message type '{kind[:40]}'; known are start, frame, landmarks, vocabulary, flush, pause, ack, "
            "ping and stop.",
        )
    where = ".".join(str(part) for part in first["loc"][1:]) or "message"
    return (errors.BadStart if kind == "start" else errors.InvalidMessage)(f"{where}: {first['msg']}")


def _kind(content: Any) -> str:
    return {list: "an array", str: "a string", bool: "true or false", type(None): "null"}.get(type(content), "a number")

"""Protocol messages and what the service works with, both ways: clips, live commands, live events, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict
from numpy.typing import NDArray

from app.core.errors import InvalidLandmarks, MalformedMessage, TooBig
from app.pipeline.keypoints import NUM_KEYPOINTS
from app.pipeline.module3_sequence.vocabularies import MAX_GLOSSES
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.services.captions.commands import (
    MAX_LANDMARK_FRAMES,
    MAX_MESSAGE,
    ChangeVocabulary,
    Command,
    Landmarks,
    Pause,
    Picture,
    checked_points,
    parse_object,
)
from app.services.captions.events import FoundLandmarks
from app.services.conversation.commands import Ack
from app.services.conversation.events import Event
from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary

_NUMBERS = {"float32": "<f4", "float16": "<f2"}


def unpacked(packed: pb.PackedPoints, max_frames: int) -> NDArray[np.float32]:
    """float32 (n, 75, 3), n >= 1. Raises InvalidLandmarks for anything but whole frames."""
    kind = packed.WhichOneof("values")
    if kind is None:
        raise InvalidLandmarks("The landmarks have neither 'float32' nor 'float16'.")
    data: bytes = getattr(packed, kind)
    number = np.dtype(_NUMBERS[kind])
    size = NUM_KEYPOINTS * 3 * number.itemsize
    count, odd = divmod(len(data), size)
    if odd or not 1 <= count <= max_frames:
        raise InvalidLandmarks(
            f"Landmarks are {kind} of {NUM_KEYPOINTS} x 3 values, {size} bytes a frame, 1 to {max_frames} frames; got "
            f"{len(data)} bytes."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return np.frombuffer(data, number).reshape(count, NUM_KEYPOINTS, 3).astype(np.float32)


def command(message: pb.StreamCaptionsRequest) -> Command:
    """The client's message as a command. Raises ServiceError."""
    if message.ByteSize() > MAX_MESSAGE:
        raise TooBig(f"A message is limited to {MAX_MESSAGE} bytes.")
    match message.WhichOneof("message"):
        case "start":
            return parse_object({"type": "start", **_start(message.start)})
        case "picture":
            return Picture(message.picture.data, _time(message.picture))
        case "landmarks":
            points = unpacked(message.landmarks.points, MAX_LANDMARK_FRAMES)
            return Landmarks(checked_points(points), _time(message.landmarks))
        case "vocabulary":
            return ChangeVocabulary(vocabulary=vocabulary(message.vocabulary))
        case "pause":
            return Pause(paused=message.pause.paused)
        case "ack":
            return Ack(seq=message.ack.seq)
        case "flush" | "ping" | "stop" as kind:
            return parse_object({"type": kind})
        case _:
            raise MalformedMessage("The message has no content, such as 'picture' or 'landmarks'.")


def vocabulary(asked: pb.Vocabulary) -> Vocabulary:
    """What to read with."""
    match asked.WhichOneof("reads"):
        case "name":
            return asked.name
        case "glosses":
            return list(asked.glosses.gloss[: MAX_GLOSSES + 1])  # more are refused, however many
        case _:
            return None


def _start(start: pb.Start) -> Mapping[str, Any]:
    """The settings that the client sent, for the validation that all doors share."""
    messages = ("targets", "resume", "vocabulary", "sign_sets")
    given = {field.name: value for field, value in start.ListFields() if field.name not in messages}
    given["vocabulary"] = vocabulary(start.vocabulary)
    if start.sign_sets:
        given["sign_sets"] = list(start.sign_sets)
    if start.targets:
        given["targets"] = list(start.targets)
    if start.HasField("resume"):
        resume = start.resume
        given["resume"] = {"session_id": resume.session_id, "token": resume.token, "last_seq": resume.last_seq}
    return given


def _time(frame: pb.Picture | pb.Landmarks) -> int | None:
    return frame.time_us if frame.HasField("time_us") else None


def response(event: Event) -> pb.StreamCaptionsResponse:
    """An event as the protocol has it; the names are the same, and one that the protocol lacks raises ParseError."""
    if isinstance(event, FoundLandmarks):
        packed = pb.PackedPoints(float32=np.asarray(event.points, "<f4").tobytes())
        return pb.StreamCaptionsResponse(seq=event.seq, landmarks=pb.FoundLandmarks(points=packed, at_ms=event.at_ms))
    content = event.model_dump(mode="json", exclude={"type", "seq"})
    return ParseDict({"seq": event.seq, event.type: content}, pb.StreamCaptionsResponse())


def recognition(outcome: ClipResult) -> pb.Recognition:
    message = pb.Recognition(processing_time_s=outcome.processing_time_s)
    ParseDict(outcome.caption.as_clip(), message)
    return message

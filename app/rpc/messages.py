"""Protocol messages and what the service works with, both ways: clips, live commands, live events, answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict
from numpy.typing import NDArray

from app.pipeline.keypoints import NUM_KEYPOINTS
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.services.captions.commands import (
    MAX_LANDMARK_FRAMES,
    MAX_MESSAGE,
    Ack,
    Close,
    Command,
    Flush,
    Landmarks,
    LiveError,
    Pause,
    Picture,
    Ping,
    Stop,
    checked_points,
    parse_object,
)
from app.services.conversation.outbox import Event
from app.services.recognition.service import Outcome

_NUMBERS = {"float32": "<f4", "float16": "<f2"}


class BadPoints(ValueError):
    """Packed landmarks that are not whole frames."""


def unpacked(packed: pb.PackedPoints, max_frames: int) -> NDArray[np.float32]:
    """float32 (n, 75, 3), n >= 1. Raises BadPoints."""
    kind = packed.WhichOneof("values")
    if kind is None:
        raise BadPoints("The landmarks have neither 'float32' nor 'float16'.")
    data: bytes = getattr(packed, kind)
    number = np.dtype(_NUMBERS[kind])
    size = NUM_KEYPOINTS * 3 * number.itemsize
    count, odd = divmod(len(data), size)
    if odd or not 1 <= count <= max_frames:
        raise BadPoints(
            f"Landmarks are {kind} of {NUM_KEYPOINTS} x 3 values, {size} bytes a frame, 1 to {max_frames} frames; got "
            f"{len(data)} bytes."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return np.frombuffer(data, number).reshape(count, NUM_KEYPOINTS, 3).astype(np.float32)


# -- live ---------------------------------------------------------------------------------------------------------


def command(message: pb.StreamCaptionsRequest) -> Command:
    """What the client says. Raises LiveError."""
    if message.ByteSize() > MAX_MESSAGE:
        raise LiveError("too_big", f"A message may have {MAX_MESSAGE} bytes.", Close.TOO_BIG)
    match message.WhichOneof("message"):
        case "start":
            return parse_object({"type": "start", **_start(message.start)})
        case "picture":
            if not message.picture.data:
                raise LiveError("invalid_frame", "The picture has 0 bytes.")
            return Picture(message.picture.data, _time(message.picture))
        case "landmarks":
            try:
                points = unpacked(message.landmarks.points, MAX_LANDMARK_FRAMES)
            except BadPoints as problem:
                raise LiveError("invalid_landmarks", str(problem)) from None
            return Landmarks(checked_points(points), _time(message.landmarks))
        case "flush":
            return Flush(type="flush")
        case "pause":
            return Pause(type="pause", paused=message.pause.paused)
        case "ack":
            return Ack(type="ack", seq=message.ack.seq)
        case "ping":
            return Ping(type="ping")
        case "stop":
            return Stop(type="stop")
        case _:
            raise LiveError("malformed_message", "The message has no content, such as 'picture' or 'landmarks'.")


def _start(start: pb.Start) -> Mapping[str, Any]:
    """The settings that the client sent, for the check that all doors share."""
    given = {field.name: value for field, value in start.ListFields() if field.name not in ("targets", "resume")}
    if start.targets:
        given["targets"] = list(start.targets)
    if start.HasField("resume"):
        resume = start.resume
        given["resume"] = {"session_id": resume.session_id, "token": resume.token, "last_seq": resume.last_seq}
    return given


def _time(frame: pb.Picture | pb.Landmarks) -> int | None:
    return frame.time_us if frame.HasField("time_us") else None


def response(event: Event) -> pb.StreamCaptionsResponse:
    """An event as the protocol has it; the names are the same."""
    content = {name: value for name, value in event.items() if name not in ("type", "seq")}
    if event["type"] == "landmarks":
        packed = pb.PackedPoints(float32=np.asarray(event["points"], "<f4").tobytes())
        found = pb.FoundLandmarks(points=packed, at_ms=event["at_ms"])
        return pb.StreamCaptionsResponse(seq=event["seq"], landmarks=found)
    message = pb.StreamCaptionsResponse()
    ParseDict({"seq": event["seq"], event["type"]: content}, message, ignore_unknown_fields=True)
    return message


# -- whole clips --------------------------------------------------------------------------------------------------


def recognition(outcome: Outcome) -> pb.Recognition:
    message = pb.Recognition(processing_time_s=outcome.processing_time_s)
    ParseDict(outcome.caption.as_clip(), message)
    return message

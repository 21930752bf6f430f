"""Whole clips in one message: a video, images or landmarks -> what the ClipService recognises in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from app.core.errors import EmptyFile, InvalidRequest
from app.core.principal import Principal
from app.core.temp_files import temporary_file
from app.pipeline.keypoints import DEFAULT_ASPECT, Keypoints
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, pictures_from
from app.pipeline.module1_preprocessing.landmark_files import DEFAULT_FPS, MAX_FRAMES, keypoints_from_points
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.messages import recognition, unpacked
from app.services.billing import limits
from app.services.billing.idempotency import Answer, Key
from app.services.container import Services
from app.services.history.service import checked_owner
from app.services.recognition.clips import check_duration
from app.services.recognition.errors import pipeline_errors_as_service_errors
from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary, Wanted

#: What reads a clip; takes the longest that is allowed, in seconds.
Read = Callable[[float], Awaitable[ClipResult]]


async def recognise(
    clip: pb.Clip,
    vocabulary: Vocabulary,
    read_with: Wanted,
    services: Services,
    caller: Principal,
    key: Key | None = None,
    save: bool = False,
) -> pb.Recognition:
    """vocabulary: as the caller names it; read_with: the same with the sign sets that were found. The caller pays for
    it; with a key, once. save: keep the answer in the caller's history. Raises the documented errors of
    app.core.errors. Cancelling it stops the work."""
    history = checked_owner(services.history, caller)[0] if save else None
    longest_s = services.settings.max_duration_s
    async with AsyncExitStack() as stack:
        seconds, size, read = await _prepared(clip, read_with, services, caller, stack)
        allowed = limits.reading_with(vocabulary, size)
        async with services.credits.clip(caller, seconds, longest_s, key, allowed) as charge:
            if charge.replayed is not None:
                return pb.Recognition.FromString(charge.replayed.content)
            result = await read(charge.limit_s)
            charge.used_s = result.recognition.duration_s
            answer = recognition(result)
            charge.answer = Answer("application/x-protobuf", answer.SerializeToString()) if key is not None else None
        if history is not None:  # once it is paid
            history.save_clip(caller, result, services.credits.price(caller, "clip", result.recognition.duration_s))
        return answer


async def _prepared(
    clip: pb.Clip, vocabulary: Wanted, services: Services, caller: Principal, stack: AsyncExitStack
) -> tuple[float | None, int, Read]:
    """Seconds of the clip, if they are known and matter; its bytes; and what reads it."""
    service = services.clips
    match clip.WhichOneof("source"):
        case "video":
            if not clip.video:
                raise EmptyFile
            path = await stack.enter_async_context(temporary_file())
            await asyncio.to_thread(path.write_bytes, clip.video)
            seconds = await service.video_seconds(path) if services.credits.charges(caller) else None
            return seconds, len(clip.video), partial(service.process_video, path, vocabulary)
        case "frames":
            pictures, times = await asyncio.to_thread(_frames, clip.frames, services.settings.max_duration_s)
            return (
                times[-1],
                sum(map(len, clip.frames.jpeg)),
                lambda _: service.process_frames(decoded(pictures, times), vocabulary),
            )
        case "landmarks":
            keypoints = await asyncio.to_thread(_landmarks, clip.landmarks)
            return keypoints.duration_s, 0, lambda _: service.process_landmarks(keypoints, vocabulary)
        case _:
            raise InvalidRequest("The clip is empty. Send 'video', 'frames' or 'landmarks'.")


def _frames(frames: pb.Frames, max_duration_s: float) -> tuple[Sequence[JpegPicture], list[float]]:
    fps = frames.fps if frames.HasField("fps") else DEFAULT_FPS
    if not 1 <= fps <= 240:
        raise InvalidRequest(f"fps: {fps:g} frames per second; 1 to 240 are accepted.")
    if not 1 <= len(frames.jpeg) <= MAX_FRAMES:
        raise InvalidRequest(f"jpeg: {len(frames.jpeg)} frames; 1 to {MAX_FRAMES} are accepted.")
    times = [index / fps for index in range(len(frames.jpeg))]
    check_duration(times[-1], max_duration_s)
    with pipeline_errors_as_service_errors():
        return pictures_from(frames.jpeg), times


def _landmarks(landmarks: pb.ClipLandmarks) -> Keypoints:
    fps = landmarks.fps if landmarks.HasField("fps") else DEFAULT_FPS
    aspect = landmarks.aspect if landmarks.HasField("aspect") else DEFAULT_ASPECT
    points = unpacked(landmarks.points, MAX_FRAMES)
    with pipeline_errors_as_service_errors():
        return keypoints_from_points(points, fps, aspect)

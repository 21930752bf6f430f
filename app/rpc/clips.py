"""Whole clips in one message: a video, images or landmarks -> a ClipResult of the ClipService."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from app.core.errors import EmptyFile, InvalidRequest
from app.core.principal import Principal
from app.core.temp_files import temporary_file
from app.pipeline.keypoints import DEFAULT_ASPECT, Keypoints
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, pictures_from
from app.pipeline.module1_preprocessing.landmark_files import DEFAULT_FPS, MAX_FRAMES, keypoints_from_points
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.messages import unpacked
from app.services.billing import limits
from app.services.billing.credits import ClipCharge
from app.services.container import Services
from app.services.recognition.clips import check_duration
from app.services.recognition.errors import pipeline_errors_as_service_errors
from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary


async def recognise(clip: pb.Clip, vocabulary: Vocabulary, services: Services, caller: Principal) -> ClipResult:
    """The caller pays for it. Raises the documented errors of app.core.errors. Cancelling it stops the work."""
    service, max_duration_s = services.clips, services.settings.max_duration_s
    match clip.WhichOneof("source"):
        case "video":
            return await _video(clip.video, vocabulary, services, caller)
        case "frames":
            pictures, times = await asyncio.to_thread(_frames, clip.frames, max_duration_s)
            size = sum(map(len, clip.frames.jpeg))
            async with _paid(services, caller, times[-1], vocabulary, size) as charge:
                result = await service.process_frames(decoded(pictures, times), vocabulary)
                charge.used_s = result.recognition.duration_s
            return result
        case "landmarks":
            keypoints = await asyncio.to_thread(_landmarks, clip.landmarks)
            async with _paid(services, caller, keypoints.duration_s, vocabulary, 0) as charge:
                result = await service.process_landmarks(keypoints, vocabulary)
                charge.used_s = result.recognition.duration_s
            return result
        case _:
            raise InvalidRequest("The clip is empty. Send 'video', 'frames' or 'landmarks'.")


def _paid(
    services: Services, caller: Principal, seconds: float | None, vocabulary: Vocabulary, size: int
) -> AbstractAsyncContextManager[ClipCharge]:
    longest_s = services.settings.max_duration_s
    return services.credits.clip(caller, seconds, longest_s, check=limits.reading_with(vocabulary, size))


async def _video(data: bytes, vocabulary: Vocabulary, services: Services, caller: Principal) -> ClipResult:
    if not data:
        raise EmptyFile
    async with temporary_file() as path:
        await asyncio.to_thread(path.write_bytes, data)
        free = not services.credits.charges(caller)
        seconds = None if free else await services.clips.video_seconds(path)
        async with _paid(services, caller, seconds, vocabulary, len(data)) as charge:
            result = await services.clips.process_video(path, vocabulary, charge.limit_s)
            charge.used_s = result.recognition.duration_s
        return result


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

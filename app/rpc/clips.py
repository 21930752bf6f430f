"""Whole clips in one message: a video, images or landmarks -> a ClipResult of the ClipService."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.core.errors import EmptyFile, InvalidRequest
from app.core.temp_files import temporary_file
from app.pipeline.keypoints import DEFAULT_ASPECT, Keypoints
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, pictures_from
from app.pipeline.module1_preprocessing.landmark_files import DEFAULT_FPS, MAX_FRAMES, keypoints_from_points
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.messages import unpacked
from app.services.recognition.clips import check_duration
from app.services.recognition.errors import pipeline_errors_as_service_errors
from app.services.recognition.service import ClipResult, ClipService
from app.services.recognition.vocabularies import Vocabulary


async def recognise(clip: pb.Clip, vocabulary: Vocabulary, service: ClipService, max_duration_s: float) -> ClipResult:
    """Raises the documented errors of app.core.errors. Cancelling it stops the work."""
    match clip.WhichOneof("source"):
        case "video":
            return await _video(clip.video, vocabulary, service)
        case "frames":
            pictures, times = await asyncio.to_thread(_frames, clip.frames, max_duration_s)
            return await service.process_frames(decoded(pictures, times), vocabulary)
        case "landmarks":
            keypoints = await asyncio.to_thread(_landmarks, clip.landmarks)
            return await service.process_landmarks(keypoints, vocabulary)
        case _:
            raise InvalidRequest("The clip is empty. Send 'video', 'frames' or 'landmarks'.")


async def _video(data: bytes, vocabulary: Vocabulary, service: ClipService) -> ClipResult:
    if not data:
        raise EmptyFile
    async with temporary_file() as path:
        await asyncio.to_thread(path.write_bytes, data)
        return await service.process_video(path, vocabulary)


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

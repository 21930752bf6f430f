"""Recognition over HTTP: a video, single pictures or landmarks in, glosses and a sentence out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from app.api.dependencies import ClipsDep, SettingsDep, UploadsDep
from app.api.problems import invalid_request, responses
from app.api.schemas.recognition import FramesRequest, LandmarksRequest, Prediction
from app.api.uploads import receive_body, receive_file
from app.core import errors
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, pictures_from_base64
from app.pipeline.module1_preprocessing.landmark_files import (
    InvalidLandmarkFile,
    keypoints_from_json,
    load_landmarks,
)
from app.services.recognition.clips import check_duration
from app.services.recognition.errors import pipeline_errors_as_service_errors, sentence
from app.services.recognition.service import ClipService, Outcome

T = TypeVar("T")

router = APIRouter(prefix="/api/inference", tags=["inference"])

_ALWAYS = (
    errors.MalformedRequest,
    errors.UploadTimeout,
    errors.UploadTooLarge,
    errors.VideoTooLong,
    errors.UnsupportedMediaType,
    errors.InternalError,
    errors.Busy,
    errors.NotReady,
    errors.OutOfMemory,
    errors.DeviceFault,
)


def _file_body(description: str, content_type: str | None = None) -> dict[str, Any]:
    file: dict[str, Any] = {"type": "string", "format": "binary", "description": description}
    if content_type:
        file["contentMediaType"] = content_type
    return {"schema": {"type": "object", "required": ["file"], "properties": {"file": file}}}


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, cancelled as soon as the client goes away. Raises ClientDisconnect then.

    To be called when the whole body has been read: what comes next from the client can only be its farewell.
    """

    async def farewell() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(farewell())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


@router.post(
    "/predict",
    summary="Caption a video",
    response_description="Glosses, times, sentence; for a video without a person no gloss and a warning.",
    responses=responses(
        (
            *_ALWAYS,
            errors.EmptyFile,
            errors.TruncatedVideo,
            errors.NotAVideo,
            errors.NoVideoStream,
            errors.BadDimensions,
            errors.BadFrameRate,
            errors.UndecodableVideo,
            errors.ExtractorUnavailable,
        )
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": _file_body(
                    "The video: MP4, MOV, WebM, MKV, AVI, MPEG, FLV, Ogg or GIF. What it is, is read from its content."
                )
            },
        }
    },
)
async def predict(request: Request, clips: ClipsDep, settings: SettingsDep, uploads: UploadsDep) -> Prediction:
    """Send a video of a person signing, get what was signed.

    `curl -F file=@clip.mp4 http://localhost:8000/api/inference/predict`

    The file is refused while it is coming in as soon as it is larger than the service takes; it is deleted when the
    answer is sent. Closing the connection stops the work.
    """
    clips.check_ready()
    with uploads.enter():
        async with receive_file(request, settings.upload_idle_timeout_s) as upload:
            outcome = await unless_gone(request, clips.process_video(upload.path))
    return Prediction.of(outcome)


@router.post(
    "/frames",
    summary="Caption single pictures",
    responses=responses(
        (*_ALWAYS, errors.InvalidRequest, errors.InvalidFrames, errors.BadDimensions, errors.ExtractorUnavailable)
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/FramesRequest"}}},
        }
    },
)
async def frames(request: Request, clips: ClipsDep, settings: SettingsDep, uploads: UploadsDep) -> Prediction:
    """Send the frames of a clip as JPEG in base64, with their rate or their times."""
    clips.check_ready()
    with uploads.enter():
        _require_json(request)
        body = await receive_body(request, settings.upload_idle_timeout_s)

        async def work() -> Prediction:
            pictures, times = await asyncio.to_thread(_read_frames, body, settings.max_duration_s)
            outcome = await clips.process_frames(decoded(pictures, times))
            return Prediction.of(outcome)

        return await unless_gone(request, work())


def _read_frames(body: bytes, max_duration_s: float) -> tuple[Sequence[JpegPicture], list[float]]:
    try:
        asked = FramesRequest.model_validate_json(body)
    except ValidationError as problem:
        found = problem.errors(include_url=False, include_context=False, include_input=False)
        if any(error["type"] == "json_invalid" for error in found):
            raise errors.MalformedRequest("The body is not valid JSON.") from None
        raise invalid_request(list(found)) from None
    times = asked.times_s()
    check_duration(times[-1], max_duration_s)
    return pictures_from_base64(asked.frames), times


@router.post(
    "/landmarks",
    summary="Caption landmarks",
    responses=responses((*_ALWAYS, errors.EmptyFile, errors.NotLandmarks, errors.InvalidLandmarks)),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": _file_body(
                    "A .npz file (pose (T,33,3) x, y, visibility; left, right (T,21,2), zeros for a missing hand; fps; "
                    "optional width and height), a .pose file (pose-format, holistic), or JSON as described here."
                ),
                "application/json": {"schema": {"$ref": "#/components/schemas/LandmarksRequest"}},
            },
        }
    },
)
async def landmarks(request: Request, clips: ClipsDep, settings: SettingsDep, uploads: UploadsDep) -> Prediction:
    """Send body landmarks instead of pictures: the camera's picture never leaves the device."""
    clips.check_ready()
    timeout = settings.upload_idle_timeout_s
    with uploads.enter():
        if _media_type(request) == "application/json":
            body = await receive_body(request, timeout)
            outcome = await unless_gone(request, _recognise(clips, body, None))
        else:
            async with receive_file(request, timeout) as upload:
                outcome = await unless_gone(request, _recognise(clips, upload.path, upload.filename))
    return Prediction.of(outcome)


async def _recognise(clips: ClipService, source: Path | bytes, filename: str | None) -> Outcome:
    return await clips.process_landmarks(await asyncio.to_thread(_read_landmarks, source, filename))


def _read_landmarks(source: Path | bytes, filename: str | None) -> Keypoints:
    """A landmark file, whose client-given `filename` tells its format; without one, a JSON body."""
    with pipeline_errors_as_service_errors():
        if isinstance(source, Path):
            return load_landmarks(source, filename or "unnamed")
        try:
            content = json.loads(source)
        except (ValueError, RecursionError):
            raise errors.MalformedRequest("The body is not valid JSON.") from None
        try:
            return keypoints_from_json(content)
        except InvalidLandmarkFile as problem:
            if problem.code == "not_landmarks":  # JSON it is, so the media type was right and the content is not
                raise errors.InvalidLandmarks(sentence(problem)) from problem
            raise


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_json(request: Request) -> None:
    if _media_type(request) != "application/json":
        raise errors.UnsupportedMediaType(
            f"The content type of the body is {_media_type(request)[:80] or 'not named'}. Send application/json."
        )


#: Models of bodies that the routes read themselves; they enter the OpenAPI document by name.
BODY_MODELS = (FramesRequest, LandmarksRequest)

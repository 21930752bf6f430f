"""Recognition over HTTP: a video, frames or landmarks in, glosses and a sentence out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from app.api import answers
from app.api.access import CurrentPrincipal, needs
from app.api.dependencies import ServicesDep, UploadsDep
from app.api.payment import Clip, IdempotencyKey, payment
from app.api.problems import invalid_request, responses
from app.api.schemas.clips import FramesRequest, LandmarksRequest, Prediction
from app.api.uploads import Upload, receive_body, receive_file
from app.core import errors
from app.core.principal import Principal
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.images import JpegPicture, decoded, pictures_from
from app.pipeline.module1_preprocessing.landmark_files import (
    MAX_FRAMES,
    InvalidLandmarkFile,
    keypoints_from_json,
    load_landmarks,
)
from app.services.container import Services
from app.services.recognition.clips import check_duration
from app.services.recognition.errors import pipeline_errors_as_service_errors, sentence
from app.services.recognition.service import ClipResult
from app.services.recognition.vocabularies import Vocabulary, Wanted, from_text
from app.services.signs.choice import MAX_READ
from app.services.signs.reading import found
from app.services.signs.reading import from_text as sets_from_text

T = TypeVar("T")

router = APIRouter(prefix="/api/inference", tags=["inference"], dependencies=[needs("captions")])

#: JSON is held in memory. Two minutes of landmarks at 25 frames a second and full precision are 13 MiB.
MAX_LANDMARKS_JSON = 16 << 20
#: Two minutes of small frames, or twenty seconds of frames of 100 KiB.
MAX_FRAMES_JSON = 64 << 20
#: Commas of a list of glosses before it is parsed.
_MAX_GLOSS_COMMAS = 20_000
#: Commas of a valid request: one after each frame and each time, one in each data: URL, and those of the glosses.
_MAX_COMMAS = 3 * MAX_FRAMES + _MAX_GLOSS_COMMAS
#: Parsing holds the interpreter lock, so parallel parsing would only cost memory.
_parsing = threading.Lock()

_ALWAYS = (
    errors.MalformedRequest,
    errors.UploadTimeout,
    errors.UploadTooLarge,
    errors.VideoTooLong,
    errors.UnsupportedMediaType,
    errors.InvalidRequest,
    errors.UnknownVocabulary,
    errors.UnknownSignSet,
    errors.SignsOutdated,
    errors.DatabaseUnavailable,
    errors.InternalError,
    errors.Busy,
    errors.NotReady,
    errors.OutOfMemory,
    errors.DeviceFault,
    errors.InsufficientCredits,
    errors.PlanLimit,
    errors.SpeechUnavailable,
    errors.SpeechFailed,
    errors.IdempotencyInProgress,
    errors.IdempotencyMismatch,
)
_OF_PICTURES = (errors.BadDimensions, errors.TooExpensive, errors.ClipTimeout, errors.ExtractorUnavailable)


def file_body(description: str) -> dict[str, Any]:
    file = {"type": "string", "format": "binary", "description": description}
    vocabulary = {"type": "string", "description": "As in the query, before which it goes."}
    properties = {"file": file, "vocabulary": vocabulary}
    return {"schema": {"type": "object", "required": ["file"], "properties": properties}}


def json_or_file(file: dict[str, Any]) -> dict[str, Any]:
    """For the OpenAPI document: landmarks as JSON, or a file in a form."""
    landmarks = {"schema": {"$ref": "#/components/schemas/LandmarksRequest"}}
    return _body({"multipart/form-data": file, "application/json": landmarks})


def _body(content: dict[str, Any]) -> dict[str, Any]:
    """What the OpenAPI document says of a body that the route reads itself, by media type."""
    return {"requestBody": {"required": True, "content": content}}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of every route here says."""

    vocabulary: Vocabulary
    sign_sets: tuple[str, ...]
    form: answers.Format | None
    language: answers.Language

    async def check(self, services: Services, principal: Principal) -> None:
        """Raise UnknownVocabulary, UnknownSignSet or SignsOutdated, before the body is received."""
        await services.clips.check_vocabulary(await self.found(services, principal, self.vocabulary, self.sign_sets))

    async def found(
        self, services: Services, principal: Principal, vocabulary: Vocabulary, sign_sets: Sequence[str]
    ) -> Wanted:
        """What to read with."""
        return await found(services.sign_sets, services.host, principal, vocabulary, sign_sets)

    def unless(self, own: Vocabulary) -> Vocabulary:
        """The vocabulary to read with, where the body has its own: that goes before."""
        return self.vocabulary if own is None else own


def _asked(
    vocabulary: Annotated[
        str | None,
        Query(
            description="Name of a vocabulary (GET /api/vocabularies), or glosses separated by commas, to read with; "
            "default: `everyday` where the recogniser has it, else all it knows.",
            examples=["all"],
        ),
    ] = None,
    sign_sets: Annotated[
        str | None,
        Query(
            max_length=1000,
            description="Ids of your sign sets (GET /api/signs/sets), or tokens of shared ones, separated by commas: "
            "read with them alone, or together with the vocabulary, if one is named.",
        ),
    ] = None,
    format: answers.ClipFormatQuery = None,
    language: answers.LanguageQuery = "en",
) -> Asked:
    return Asked(None if vocabulary is None else from_text(vocabulary), sets_from_text(sign_sets), format, language)


QueryDep = Annotated[Asked, Depends(_asked)]


SaveQuery = Annotated[
    bool,
    Query(
        description="Keep the answer in the history of the account (GET /api/history); never the video or landmarks. "
        "Without an account: 401, because nothing would be stored."
    ),
]


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client disconnects. Raises ClientDisconnect then.

    Call it after the whole body has been read: the next message from the client can then only be its disconnect.
    """

    async def disconnected() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(disconnected())
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
    response_model=Prediction,
    response_description="Glosses, times and a sentence; for a video without a person, no gloss and a warning.",
    responses=responses(
        (
            *_ALWAYS,
            *_OF_PICTURES,
            errors.EmptyFile,
            errors.TruncatedVideo,
            errors.NotAVideo,
            errors.NoVideoStream,
            errors.BadFrameRate,
            errors.UndecodableVideo,
            errors.InsufficientStorage,
        )
    )
    | answers.DOCUMENTED,
    openapi_extra=_body(
        {
            "multipart/form-data": file_body(
                "The video: MP4, MOV, WebM, MKV, AVI, MPEG, FLV, Ogg or GIF. The content decides, not the name."
            )
        }
    ),
)
async def predict(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: CurrentPrincipal,
    query: QueryDep,
    key: IdempotencyKey = None,
    save: SaveQuery = False,
) -> Prediction | Response:
    """Upload a video of a person signing and get the recognised signs.

    `curl -F file=@clip.mp4 http://localhost:8000/api/inference/predict`

    An upload over the size limit is refused while it arrives. The file is deleted once the response is sent. Closing
    the connection stops the work.
    """
    services.clips.check_ready()
    paying = await payment(services, principal, key, save)
    async with uploads.enter(request, paying.upload_limit) as incoming:
        await query.check(services, principal)
        async with receive_file(incoming) as upload:
            read_with = query.unless(None if upload.vocabulary is None else from_text(upload.vocabulary))

            async def work() -> Prediction | Response:
                seconds = None if paying.free else await services.clips.video_seconds(upload.path)
                wanted = await query.found(services, principal, read_with, query.sign_sets)
                process = partial(services.clips.process_video, upload.path, wanted)
                clip = Clip(seconds, read_with, upload.path, process, query.sign_sets)
                return await paying.answer(request, clip, query.form, query.language)

            return await unless_gone(request, work())


@router.post(
    "/frames",
    summary="Caption frames",
    response_model=Prediction,
    responses=responses((*_ALWAYS, *_OF_PICTURES, errors.InvalidFrames)) | answers.DOCUMENTED,
    openapi_extra=_body({"application/json": {"schema": {"$ref": "#/components/schemas/FramesRequest"}}}),
)
async def frames(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: CurrentPrincipal,
    query: QueryDep,
    key: IdempotencyKey = None,
    save: SaveQuery = False,
) -> Prediction | Response:
    """Send the frames of a clip as base64 JPEG, with their rate or their times; at most 64 MiB."""
    services.clips.check_ready()
    paying = await payment(services, principal, key, save)
    async with uploads.enter(request, paying.upload_limit) as incoming:
        if (given := _media_type(request)) != "application/json":
            raise errors.UnsupportedMediaType(
                f"The content type of the body is {given[:80] or 'missing'}. Send application/json."
            )
        await query.check(services, principal)
        body = await receive_body(
            incoming, MAX_FRAMES_JSON, "Send fewer or smaller frames, or a video to /api/inference/predict."
        )

        async def work() -> Prediction | Response:
            pictures, times, own, own_sets = await asyncio.to_thread(
                _read_frames, body, services.settings.max_duration_s
            )
            named, sets = query.unless(own), tuple(own_sets) or query.sign_sets
            wanted = await query.found(services, principal, named, sets)

            async def read(_: float) -> ClipResult:
                return await services.clips.process_frames(decoded(pictures, times), wanted)

            clip = Clip(times[-1], named, body, read, sets)
            return await paying.answer(request, clip, query.form, query.language)

        return await unless_gone(request, work())


def _read_frames(
    body: bytearray, max_duration_s: float
) -> tuple[Sequence[JpegPicture], list[float], Vocabulary, list[str]]:
    """Images, their times in seconds, and the vocabulary and the sign sets of the body."""
    if body.count(b",") > _MAX_COMMAS:  # before a parser makes an object of each element
        raise errors.InvalidRequest(f"frames: the body has more elements than {MAX_FRAMES} frames, which is the limit")
    try:
        with _parsing:
            asked = FramesRequest.model_validate_json(body)
    except ValidationError as problem:
        found = problem.errors(include_url=False, include_context=False, include_input=False)
        if any(error["type"] == "json_invalid" for error in found):
            raise errors.MalformedRequest("The body is not valid JSON.") from None
        raise invalid_request(list(found)) from None
    times = asked.times_s()
    check_duration(times[-1], max_duration_s)
    with pipeline_errors_as_service_errors():
        return pictures_from(asked.frames), times, asked.vocabulary, asked.sign_sets


@router.post(
    "/landmarks",
    summary="Caption landmarks",
    response_model=Prediction,
    responses=responses(
        (*_ALWAYS, errors.EmptyFile, errors.NotLandmarks, errors.InvalidLandmarks, errors.InsufficientStorage)
    )
    | answers.DOCUMENTED,
    openapi_extra=_body(
        {
            "multipart/form-data": file_body(
                "A .npz file (pose (T,33,3) x, y, visibility; left, right (T,21,2), zeros for a missing hand; fps; "
                "optional width and height), a .pose file (pose-format, holistic), or JSON as described here."
            ),
            "application/json": {"schema": {"$ref": "#/components/schemas/LandmarksRequest"}},
        }
    ),
)
async def landmarks(
    request: Request,
    services: ServicesDep,
    uploads: UploadsDep,
    principal: CurrentPrincipal,
    query: QueryDep,
    key: IdempotencyKey = None,
    save: SaveQuery = False,
) -> Prediction | Response:
    """Send body landmarks instead of images, which then never leave the device. JSON: at most 16 MiB."""
    services.clips.check_ready()
    paying = await payment(services, principal, key, save)
    async with uploads.enter(request, paying.upload_limit) as incoming:
        await query.check(services, principal)

        async def work(source: Upload | bytearray) -> Prediction | Response:
            keypoints, own, own_sets = await asyncio.to_thread(_read_landmarks, source)
            named, sets = query.unless(own), tuple(own_sets) or query.sign_sets
            wanted = await query.found(services, principal, named, sets)

            async def read(_: float) -> ClipResult:
                return await services.clips.process_landmarks(keypoints, wanted)

            content = source.path if isinstance(source, Upload) else source
            clip = Clip(keypoints.duration_s, named, content, read, sets)
            return await paying.answer(request, clip, query.form, query.language)

        if _media_type(request) == "application/json":
            instead = "Send a .npz file as form field 'file', or fewer decimals."
            return await unless_gone(request, work(await receive_body(incoming, MAX_LANDMARKS_JSON, instead)))
        async with receive_file(incoming) as upload:
            return await unless_gone(request, work(upload))


def _read_landmarks(source: Upload | bytearray) -> tuple[Keypoints, Vocabulary, Sequence[str]]:
    """A landmark file, whose format follows from the client's name for it, or a JSON body; its vocabulary, and its sign
    sets."""
    with pipeline_errors_as_service_errors(), _parsing:
        if isinstance(source, Upload):
            own = None if source.vocabulary is None else from_text(source.vocabulary)
            return load_landmarks(source.path, source.filename or "unnamed"), own, ()
        try:
            return keypoints_from_json(source), _vocabulary_in(source), _sign_sets_in(source)
        except InvalidLandmarkFile as problem:
            if problem.code == "not_json":
                raise errors.MalformedRequest("The body is not valid JSON.") from None
            if problem.code == "not_landmarks":  # valid JSON, so the media type is right and the content is wrong
                raise errors.InvalidLandmarks(sentence(problem)) from problem
            raise


class _WithVocabulary(msgspec.Struct):
    """What a body of landmarks has beside them; its text is parsed when its size is known."""

    vocabulary: msgspec.Raw = msgspec.Raw(b"null")
    sign_sets: msgspec.Raw = msgspec.Raw(b"[]")


_with_vocabulary = msgspec.json.Decoder(_WithVocabulary)
_vocabulary = msgspec.json.Decoder(str | list[str] | None)
_sign_sets = msgspec.json.Decoder(list[str])


def _vocabulary_in(body: bytearray) -> Vocabulary:
    """The vocabulary of a JSON object. Raises InvalidRequest, UnknownVocabulary."""
    text = bytes(_with_vocabulary.decode(body).vocabulary)
    if text.count(b",") > _MAX_GLOSS_COMMAS:
        raise errors.UnknownVocabulary(f"The list of glosses has more than {_MAX_GLOSS_COMMAS} entries, the limit.")
    try:
        return _vocabulary.decode(text)
    except msgspec.ValidationError as problem:
        raise errors.InvalidRequest(f"vocabulary: {problem}") from problem


def _sign_sets_in(body: bytearray) -> list[str]:
    """The sign sets of a JSON object. Raises InvalidRequest."""
    text = bytes(_with_vocabulary.decode(body).sign_sets)
    if text.count(b",") > MAX_READ:
        raise errors.InvalidRequest(f"sign_sets: at most {MAX_READ} sets are read at once.")
    try:
        return _sign_sets.decode(text)
    except msgspec.ValidationError as problem:
        raise errors.InvalidRequest(f"sign_sets: {problem}") from problem


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


#: Models of the bodies that these routes read themselves, for the OpenAPI document.
BODY_MODELS = (FramesRequest, LandmarksRequest)

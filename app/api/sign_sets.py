"""Sign sets over HTTP: signs that people teach, recording by recording, in any sign language."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from app.api.access import CurrentPrincipal, needs
from app.api.dependencies import ServicesDep, UploadsDep
from app.api.inference import MAX_LANDMARKS_JSON, file_body, json_or_file, unless_gone
from app.api.problems import responses
from app.api.schemas.sign_sets import (
    LearnedRecording,
    ListedSignSet,
    NewSignSet,
    Share,
    SharedSignSet,
    SharedToken,
    SignName,
    SignSetChange,
    SignSetContents,
    SignSetInfo,
    SignSetList,
    TaughtSignInfo,
)
from app.api.uploads import receive_body, receive_file
from app.core import errors
from app.core.principal import Principal
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmark_files import keypoints_from_json, load_landmarks
from app.pipeline.module3_sequence.teaching import LONGEST_S
from app.services.billing.plans import Plan
from app.services.container import Services
from app.services.recognition.clips import LANDMARK_SUFFIXES
from app.services.recognition.errors import pipeline_errors_as_service_errors
from app.services.signs.files import MAX_FILE
from app.services.signs.reading import NO_DATABASE
from app.services.signs.service import SignSets

router = APIRouter(prefix="/api/signs/sets", tags=["signs"], dependencies=[needs("captions")])

_ALWAYS = (
    errors.InvalidRequest,
    errors.UnknownSignSet,
    errors.NotReady,
    errors.DatabaseUnavailable,
    errors.InternalError,
)
_CHANGING = (*_ALWAYS, errors.UploadTooLarge)
_GROWING = (*_CHANGING, errors.TooManySigns, errors.PlanLimit)
_RECORDING = (
    *_GROWING,
    errors.RecordingRefused,
    errors.DifferentSigns,
    errors.MalformedRequest,
    errors.UploadTimeout,
    errors.VideoTooLong,
    errors.UnsupportedMediaType,
    errors.NotLandmarks,
    errors.InvalidLandmarks,
    errors.EmptyFile,
    errors.TruncatedVideo,
    errors.NotAVideo,
    errors.NoVideoStream,
    errors.BadDimensions,
    errors.BadFrameRate,
    errors.UndecodableVideo,
    errors.TooExpensive,
    errors.ClipTimeout,
    errors.ExtractorUnavailable,
    errors.InsufficientStorage,
    errors.Busy,
    errors.OutOfMemory,
    errors.DeviceFault,
)
_FILE = "The landmarks (.npz, .pose or .json, by the name of the file) or a video of the sign alone, at most 10 s."


def _sign_sets(services: ServicesDep) -> SignSets:
    if services.sign_sets is None:
        raise errors.DatabaseUnavailable(NO_DATABASE)
    return services.sign_sets


async def _plan(services: ServicesDep, principal: CurrentPrincipal) -> Plan | None:
    """Of the account; None where nothing is charged."""
    account = await services.credits.account(principal)
    return None if account is None else account.plan


async def _space(services: ServicesDep) -> str:
    """What embeddings of the recogniser in use are compared in."""
    recogniser = services.host.recogniser
    return await asyncio.to_thread(lambda: recogniser.embedding_space)


SetsDep = Annotated[SignSets, Depends(_sign_sets)]
PlanDep = Annotated[Plan | None, Depends(_plan)]
SpaceDep = Annotated[str, Depends(_space)]
Insist = Annotated[
    bool, Query(description="Take the recording even if it looks like another sign than those before it.")
]


@router.get("", summary="One's sign sets", responses=responses(_ALWAYS))
async def list_sets(principal: CurrentPrincipal, sets: SetsDep) -> SignSetList:
    """Without accounts (AUTH_MODE=open), those of this service."""
    return SignSetList(sets=[ListedSignSet.listed(entry) for entry in await sets.all_of(principal)])


@router.post("", status_code=201, summary="Make a sign set", responses=responses(_GROWING))
async def make_set(body: NewSignSet, principal: CurrentPrincipal, sets: SetsDep, plan: PlanDep) -> SignSetInfo:
    """An empty one; then add signs, and recordings of each."""
    return SignSetInfo.of(await sets.create(principal, body.name, body.sign_language, body.keep_landmarks, plan))


@router.post(
    "/import",
    status_code=201,
    summary="Make a sign set from a file",
    responses=responses(
        (*_GROWING, errors.InvalidSignFile, errors.MalformedRequest, errors.UploadTimeout, errors.Busy)
    ),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def import_set(
    request: Request,
    principal: CurrentPrincipal,
    sets: SetsDep,
    plan: PlanDep,
    uploads: UploadsDep,
    keep_landmarks: Annotated[bool, Query(description="Keep landmarks that are in the file.")] = False,
) -> SignSetInfo:
    """The body is what the export of a set gave."""
    async with uploads.enter(request) as incoming:
        data = await receive_body(incoming, MAX_FILE, "Export the set without landmarks.")
        return SignSetInfo.of(await sets.add_file(principal, data, keep_landmarks, plan))


@router.post("/shared", summary="A set that somebody shares", responses=responses(_CHANGING))
async def shared_set(body: SharedToken, sets: SetsDep, space: SpaceDep) -> SharedSignSet:
    """What is in it. The token goes in the body, so that no log has it."""
    return SharedSignSet.of(await sets.shared(body.token, space))


@router.post("/copy", status_code=201, summary="Copy a set that somebody shares", responses=responses(_GROWING))
async def copy_set(body: SharedToken, principal: CurrentPrincipal, sets: SetsDep, plan: PlanDep) -> SignSetInfo:
    """Into a set of one's own, without landmarks."""
    return SignSetInfo.of(await sets.copy_shared(principal, body.token, plan))


@router.get("/{set_id}", summary="A sign set", responses=responses(_ALWAYS))
async def get_set(set_id: UUID, principal: CurrentPrincipal, sets: SetsDep, space: SpaceDep) -> SignSetContents:
    """With its signs and how well they are told apart."""
    return SignSetContents.of_contents(await sets.get(principal, set_id, space))


@router.patch("/{set_id}", summary="Change a sign set", responses=responses(_CHANGING))
async def change_set(set_id: UUID, body: SignSetChange, principal: CurrentPrincipal, sets: SetsDep) -> SignSetInfo:
    """Its name, or whether landmarks are kept."""
    return SignSetInfo.of(await sets.change(principal, set_id, body.name, body.keep_landmarks))


@router.delete("/{set_id}", status_code=204, summary="Delete a sign set", responses=responses(_ALWAYS))
async def remove_set(set_id: UUID, principal: CurrentPrincipal, sets: SetsDep) -> None:
    """With everything in it, at once and for good."""
    await sets.remove(principal, set_id)


@router.get(
    "/{set_id}/export",
    summary="A sign set as a file",
    response_class=Response,
    responses=responses((*_ALWAYS, errors.InvalidSignFile))
    | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def export_set(
    set_id: UUID,
    principal: CurrentPrincipal,
    sets: SetsDep,
    landmarks: Annotated[bool, Query(description="With landmarks that are stored.")] = False,
) -> Response:
    """JSON that POST /api/signs/sets/import reads, here or on another service."""
    data = await sets.export(principal, set_id, landmarks)
    headers = {"Content-Disposition": 'attachment; filename="signs.json"'}
    return Response(data, media_type="application/json", headers=headers)


@router.post("/{set_id}/share", summary="Share a sign set", responses=responses(_CHANGING))
async def share_set(set_id: UUID, principal: CurrentPrincipal, sets: SetsDep) -> Share:
    """Whoever has the token reads with the set and may copy it, but cannot change it. A new token makes the one before
    void."""
    return Share(token=await sets.share(principal, set_id))


@router.delete("/{set_id}/share", status_code=204, summary="Stop sharing a sign set", responses=responses(_ALWAYS))
async def unshare_set(set_id: UUID, principal: CurrentPrincipal, sets: SetsDep) -> None:
    """The token is void from now on; sessions that run finish with the set."""
    await sets.unshare(principal, set_id)


@router.post(
    "/{set_id}/signs", status_code=201, summary="Add a sign", responses=responses((*_GROWING, errors.SignExists))
)
async def add_sign(
    set_id: UUID, body: SignName, principal: CurrentPrincipal, sets: SetsDep, plan: PlanDep
) -> TaughtSignInfo:
    """Without recordings, it is not read yet."""
    return TaughtSignInfo.empty(await sets.add_sign(principal, set_id, body.name, plan))


@router.patch(
    "/{set_id}/signs/{sign_id}", summary="Rename a sign", responses=responses((*_CHANGING, errors.SignExists))
)
async def rename_sign(
    set_id: UUID, sign_id: UUID, body: SignName, principal: CurrentPrincipal, sets: SetsDep, space: SpaceDep
) -> TaughtSignInfo:
    """Its recordings stay."""
    await sets.rename_sign(principal, set_id, sign_id, body.name)
    contents = await sets.get(principal, set_id, space)
    return next(TaughtSignInfo.of(sign) for sign in contents.signs if sign.row.id == sign_id)


@router.delete("/{set_id}/signs/{sign_id}", status_code=204, summary="Delete a sign", responses=responses(_ALWAYS))
async def remove_sign(set_id: UUID, sign_id: UUID, principal: CurrentPrincipal, sets: SetsDep) -> None:
    """With its recordings."""
    await sets.remove_sign(principal, set_id, sign_id)


@router.post(
    "/{set_id}/signs/{sign_id}/recordings",
    status_code=201,
    summary="Teach a sign",
    responses=responses(_RECORDING),
    openapi_extra=json_or_file(file_body(_FILE)),
)
async def add_recording(
    set_id: UUID,
    sign_id: UUID,
    request: Request,
    principal: CurrentPrincipal,
    services: ServicesDep,
    sets: SetsDep,
    uploads: UploadsDep,
    insist: Insist = False,
) -> LearnedRecording:
    """One recording of the sign alone, hands down at its beginning and end, as landmarks or video; about three are
    enough. The answer says what could be better, and how well the sign is told apart now."""
    services.clips.check_ready()
    async with uploads.enter(request) as incoming:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type == "application/json":
            body = await receive_body(incoming, MAX_LANDMARKS_JSON, "Send a .npz file as form field 'file'.")
            clip = await asyncio.to_thread(_from_json, body)
            return await unless_gone(request, _learned(sets, principal, set_id, sign_id, clip, insist))
        async with receive_file(incoming) as upload:

            async def work() -> LearnedRecording:
                clip = await _from_file(services, upload.path, upload.filename)
                return await _learned(sets, principal, set_id, sign_id, clip, insist)

            return await unless_gone(request, work())


@router.delete(
    "/{set_id}/signs/{sign_id}/recordings/{recording_id}",
    status_code=204,
    summary="Delete a recording",
    responses=responses(_ALWAYS),
)
async def remove_recording(
    set_id: UUID, sign_id: UUID, recording_id: UUID, principal: CurrentPrincipal, sets: SetsDep
) -> None:
    """The sign is read by the others from now on."""
    await sets.remove_recording(principal, set_id, sign_id, recording_id)


async def _learned(
    sets: SignSets, principal: Principal, set_id: UUID, sign_id: UUID, clip: Keypoints, insist: bool
) -> LearnedRecording:
    return LearnedRecording.of(await sets.add_recording(principal, set_id, sign_id, clip, insist))


def _from_json(body: bytearray) -> Keypoints:
    with pipeline_errors_as_service_errors():
        return keypoints_from_json(body)


async def _from_file(services: Services, path: Path, filename: str) -> Keypoints:
    if Path(filename).suffix.lower() in LANDMARK_SUFFIXES:

        def read() -> Keypoints:
            with pipeline_errors_as_service_errors():
                return load_landmarks(path, filename)

        return await asyncio.to_thread(read)
    return await services.clips.landmarks_of_video(path, LONGEST_S)

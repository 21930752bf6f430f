"""Training over HTTP: jobs that are started, watched, stopped and resumed, and the active checkpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from app.api.access import may_train
from app.api.dependencies import CheckpointDep, ServicesDep, TrainingDep
from app.api.problems import responses
from app.api.schemas import training as answers
from app.core import errors
from app.core.ids import dataset_names
from app.core.limits import ConcurrencyLimit
from app.db.models import TrainingJob
from app.services.recognition.checkpoint_store import described, stored_checkpoints
from app.services.training_jobs import job_log
from app.services.training_jobs.follow import follow
from app.services.training_jobs.plan import config_descriptions
from app.services.training_jobs.request import TrainingRequest
from app.services.training_jobs.service import TrainingJobs
from app.training import run_folder

#: Not validated: an id that does not exist is answered with 404.
Id = Annotated[str, Path(max_length=200, description="Id of the job.")]

#: Body of a request to start a job; enough for several thousand glosses.
MAX_BODY_BYTES = 64 * 1024

_ALWAYS = (
    errors.Unauthorized,
    errors.TrainingForbidden,
    errors.InvalidRequest,
    errors.DatabaseUnavailable,
    errors.InternalError,
)
_STARTING = (
    errors.MalformedRequest,
    errors.UploadTooLarge,
    errors.UnknownDataset,
    errors.UnknownConfig,
    errors.TooManyJobs,
    errors.GpuInUse,
    errors.NotReady,
    errors.TrainingUnavailable,
)

router = APIRouter(prefix="/api/training", tags=["training"], dependencies=[Depends(may_train)])


async def _jobs(training: TrainingJobs, jobs: Sequence[TrainingJob]) -> list[answers.Job]:
    return await asyncio.to_thread(lambda: [answers.Job.of(job, training.resumable(job)) for job in jobs])


async def _job(training: TrainingJobs, job: TrainingJob) -> answers.Job:
    return (await _jobs(training, [job]))[0]


@router.post("/start", status_code=202, summary="Start a training job", responses=responses((*_ALWAYS, *_STARTING)))
async def start(request: TrainingRequest, training: TrainingDep) -> answers.Job:
    """Train a recogniser on a named dataset with a named config.

    `curl -X POST localhost:8000/api/training/start -H 'Content-Type: application/json'
    -d '{"dataset": "signs", "config": "asl_everyday", "num_epochs": 10}'`

    It runs in its own process, keeps running if you disconnect, and stops with the service. The resulting checkpoint
    can be activated under the job's id.
    """
    return await _job(training, await training.begin(request))


@router.get("/status", summary="Running jobs and available inputs", responses=responses(_ALWAYS))
async def status(training: TrainingDep, services: ServicesDep) -> answers.TrainingStatus:
    active, counts = await training.overview()
    configs = await asyncio.to_thread(config_descriptions, services.settings.configs_dir)
    settings, host = services.settings, services.host
    return answers.TrainingStatus(
        active=await _jobs(training, active),
        places=settings.max_training_jobs,
        counts=counts,
        datasets=await asyncio.to_thread(dataset_names, settings.datasets_dir),
        configs=list(configs),
        config_descriptions=configs,
        device=host.recogniser.device,
        checkpoint=host.checkpoint,
    )


@router.get("/jobs", summary="Jobs, newest first", responses=responses(_ALWAYS))
async def jobs(
    training: TrainingDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    state: Annotated[answers.State | None, Query(description="Only jobs in this state.")] = None,
) -> answers.Jobs:
    found, total = await training.page(limit, offset, state)
    return answers.Jobs(jobs=await _jobs(training, found), total=total, limit=limit, offset=offset)


@router.get("/jobs/{job_id}", summary="One job", responses=responses((*_ALWAYS, errors.UnknownJob)))
async def job(job_id: Id, training: TrainingDep) -> answers.Job:
    return await _job(training, await training.get(job_id))


@router.get(
    "/jobs/{job_id}/metrics", summary="Losses and error rates", responses=responses((*_ALWAYS, errors.UnknownJob))
)
async def metrics(
    job_id: Id,
    training: TrainingDep,
    since: Annotated[int, Query(ge=0, le=10**9, description="Number of lines to skip.")] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 2_000,
) -> answers.Points:
    """The lines of the trainer's log.jsonl, oldest first."""
    known = await training.get(job_id)
    found = await asyncio.to_thread(run_folder.read_metrics, training.run_folder(known.id), since, limit)
    return answers.Points.of(found, known.attempt)


#: Schema of the server-sent events, one object for each event.
_EVENT_STREAM = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "event": {"enum": ["log", "state", "end"]},
            "id": {"type": "string", "description": "Byte offset in the log; send it as Last-Event-ID to continue."},
            "data": {"type": "string", "contentMediaType": "application/json"},
            "retry": {"type": "integer"},
        },
    },
}
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "model": answers.Log,
        "description": "A part of the log; with follow, server-sent events: `log` {text}, `state` {state, reason, "
        "progress}, `end` with the same, each with the byte offset as its id.",
        "content": {"text/event-stream": {"schema": _EVENT_STREAM}},
    }
}


@router.get(
    "/jobs/{job_id}/logs",
    summary="Log of a job",
    response_model=None,
    responses={**responses((*_ALWAYS, errors.UnknownJob, errors.Busy)), **_EVENTS},
)
async def logs(
    request: Request,
    job_id: Id,
    training: TrainingDep,
    services: ServicesDep,
    tail: Annotated[
        int, Query(ge=1, le=5_000, description="Number of last lines to return; used if no offset is given.")
    ] = 200,
    offset: Annotated[
        int | None, Query(ge=0, le=10**15, description="Start at this byte; at most 1 MiB is returned.")
    ] = None,
    follow: Annotated[
        bool, Query(description="Stream server-sent events, as with `Accept: text/event-stream`.")
    ] = False,
    last_event_id: Annotated[str | None, Header(description="Offset at which an earlier connection was lost.")] = None,
) -> Response:
    known = await training.get(job_id)
    run = training.run_folder(known.id)
    if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 16:
        offset = int(last_event_id)
    if follow or "text/event-stream" in request.headers.get("accept", ""):
        services.followers.check()
        if offset is None:
            offset = (await asyncio.to_thread(job_log.log_tail, run, tail)).offset
        return StreamingResponse(
            _events(training, services.followers, known.id, offset),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    if offset is None:
        piece = await asyncio.to_thread(job_log.log_tail, run, tail)
    else:
        piece = await asyncio.to_thread(job_log.log_chunk, run, offset)
    return JSONResponse(asdict(piece))


async def _events(training: TrainingJobs, followers: ConcurrencyLimit, job_id: str, offset: int) -> AsyncIterator[str]:
    with followers.enter():
        yield "retry: 2000\n\n"
        async for happened in follow(training, job_id, offset):
            if happened.kind == "silence":
                yield ": still here\n\n"
            else:
                yield f"id: {happened.offset}\nevent: {happened.kind}\ndata: {json.dumps(happened.data)}\n\n"


@router.post(
    "/jobs/{job_id}/stop",
    status_code=202,
    summary="Stop a job",
    responses=responses((*_ALWAYS, errors.UnknownJob, errors.WrongState)),
)
async def stop(job_id: Id, training: TrainingDep) -> answers.Job:
    """The job saves a checkpoint, ends, and can be resumed; if it does not end within TRAINING_STOP_S, it is killed."""
    return await _job(training, await training.stop(job_id))


@router.post(
    "/jobs/{job_id}/resume",
    status_code=202,
    summary="Resume a job",
    responses=responses((*_ALWAYS, *_STARTING, errors.UnknownJob, errors.WrongState)),
)
async def resume(job_id: Id, training: TrainingDep) -> answers.Job:
    """Continue a job that was stopped, failed or got lost from its last checkpoint."""
    return await _job(training, await training.resume(job_id))


@router.get("/checkpoints", summary="Recognisers on this machine", responses=responses(_ALWAYS))
async def checkpoints(services: ServicesDep) -> answers.Checkpoints:
    """Those in CHECKPOINT_DIR and those made by training jobs."""
    settings, active = services.settings, services.host.checkpoint

    def look() -> list[answers.Checkpoint]:
        return [
            answers.Checkpoint(id=stored.id, source=stored.source, active=stored.id == active, **described(stored))
            for stored in stored_checkpoints(settings)
        ]

    return answers.Checkpoints(checkpoints=await asyncio.to_thread(look))


@router.post(
    "/checkpoints/{checkpoint_id}/activate",
    summary="Activate a checkpoint",
    responses=responses(
        (*_ALWAYS, errors.UnknownCheckpoint, errors.CheckpointRefused, errors.NotReady, errors.DeviceFault)
    ),
)
async def activate(
    checkpoint_id: Annotated[str, Path(max_length=200, description="Id of the checkpoint.")],
    active: CheckpointDep,
    services: ServicesDep,
) -> answers.Activated:
    """New requests and live sessions use it at once; open sessions finish on their own. The choice is kept across
    restarts until the setting CHECKPOINT changes."""
    services.host.check_ready()
    recogniser = await active.activate(checkpoint_id)
    return answers.Activated(
        checkpoint=checkpoint_id,
        model=recogniser.model_id,
        glosses=len(recogniser.vocabulary),
        sign_language=recogniser.sign_language,
        live_sessions=services.captions.active,
    )

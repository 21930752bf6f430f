"""Liveness, readiness and system information."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from typing import Literal

from fastapi import APIRouter, Depends, Request

from app import __version__
from app.api.access import may_watch, needs
from app.api.dependencies import ServicesDep, services
from app.api.problems import responses
from app.api.schemas import health as answers
from app.core import errors
from app.monitoring.metrics import FRAMES, SOURCES, Metrics
from app.monitoring.readings import gpu_readings, memory_readings
from app.monitoring.summary import by_label, distribution, value
from app.pipeline.stages import STAGES
from app.services.recognition.checkpoint_store import checkpoint_ids
from app.services.recognition.devices import cuda_available
from app.services.recognition.vocabularies import reading_with

router = APIRouter()

_NOT_READY = responses((errors.NotReady, errors.DeviceFault))
_STARTED = time.monotonic()


@router.get("/api/health", tags=["health"], summary="Overall health")
async def health(request: Request) -> answers.Health:
    """Always 200 while the process responds; read `status`. /api/health/ready answers with a status code instead."""
    status, loaded = "starting", False
    try:
        host = services(request).host
        status, loaded = "unhealthy", True
        host.check_ready()
        status = "healthy"
    except (errors.NotReady, errors.DeviceFault):
        pass
    return answers.Health.model_validate({"status": status, "gpu_available": cuda_available(), "model_loaded": loaded})


@router.get("/api/health/live", tags=["health"], summary="Liveness")
async def live() -> answers.Alive:
    """200 while the process responds. Answers under any host name, so that orchestrators can probe it."""
    return answers.Alive()


@router.get("/api/health/ready", tags=["health"], summary="Readiness", responses=_NOT_READY)
async def ready(services: ServicesDep) -> answers.Ready:
    """200 when the recogniser is loaded and its device works; 503 before, at shutdown and after a device fault.

    Recognition needs no database: without one, this is 200 with `database: "unavailable"`."""
    services.host.check_ready()
    if services.captions.draining:
        raise errors.NotReady
    state: Literal["ok", "unavailable", "off"] = "off"
    if services.database is not None:
        state = "ok" if services.database.problem is None else "unavailable"
    recogniser = services.host.recogniser
    return answers.Ready(model=recogniser.model_id, device=recogniser.device, database=state)


@router.get(
    "/api/health/system", tags=["health"], summary="Versions, device, memory, load", dependencies=[Depends(may_watch)]
)
async def system(services: ServicesDep) -> answers.System:
    """`live` and `stages` show the same figures as /metrics."""
    import torch

    metrics = services.metrics
    metrics.refresh()
    resident, available, total = await asyncio.to_thread(memory_readings)
    device, clips, streams = services.host.recogniser.device, services.clips.limit, services.captions.streams
    return answers.System(
        version=__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        device=device,
        amp=services.host.recogniser.amp,
        cpu_count=os.cpu_count() or 1,
        load=answers.Load(
            requests=clips.in_use,
            requests_limit=clips.limit,
            streams=streams.in_use,
            streams_limit=streams.limit,
        ),
        live=_live(metrics),
        stages=_stages(metrics),
        memory=answers.Memory(resident_bytes=resident, available_bytes=available, total_bytes=total),
        gpus=await asyncio.to_thread(gpu_readings),
        uptime_s=round(time.monotonic() - _STARTED, 1),
    )


@router.get(
    "/api/health/models",
    tags=["health"],
    summary="Checkpoints on this machine",
    responses=_NOT_READY,
    dependencies=[needs("captions")],
)
async def models(services: ServicesDep) -> answers.Models:
    """`vocabulary_size` is that of the default vocabulary, which a request without one is read with."""
    loaded = services.host.checkpoint
    recogniser = await reading_with(services.host.recogniser, None)
    ids = await asyncio.to_thread(checkpoint_ids, services.settings.checkpoint_dir)
    return answers.Models(
        models=[
            answers.Model(
                id=name,
                loaded=name == loaded,
                vocabulary=recogniser.reads if name == loaded else None,
                vocabulary_size=len(recogniser.vocabulary) if name == loaded else None,
                glosses=len(recogniser.whole.vocabulary) if name == loaded else None,
                sign_language=recogniser.sign_language if name == loaded else None,
                served=_served(services.metrics) if name == loaded else None,
            )
            for name in ids
        ]
    )


@router.get("/healthz", tags=["health"], summary="The short form", responses=_NOT_READY)
async def healthz(services: ServicesDep) -> answers.Healthz:
    services.host.check_ready()
    return answers.Healthz(model=services.host.recogniser.model_id)


def _live(metrics: Metrics) -> answers.Live:
    return answers.Live(
        sessions=int(value(metrics.live_sessions)),
        connected=int(value(metrics.live_connected)),
        opened=int(value(metrics.live_opened)),
        refused={reason: int(count) for reason, count in by_label(metrics.live_refused).items()},
        frames=answers.Frames(**{outcome: int(value(metrics.live_frames.labels(outcome))) for outcome in FRAMES}),
        caption_lag=answers.LatencySummary.of(distribution(metrics.caption_lag)),
    )


def _stages(metrics: Metrics) -> dict[str, dict[str, answers.LatencySummary]]:
    found = {
        stage: {
            source: summary
            for source in SOURCES
            if (summary := answers.LatencySummary.of(distribution(metrics.stage_seconds.labels(stage, source))))
            is not None
        }
        for stage in STAGES
    }
    return {stage: summaries for stage, summaries in found.items() if summaries}


def _served(metrics: Metrics) -> answers.Served:
    clips, windows = distribution(metrics.batch_clips), distribution(metrics.batch_windows)
    return answers.Served(
        clips=int(value(metrics.clips_read)),
        clip_calls=clips.count,
        clips_per_call=round(clips.mean, 2),
        windows=int(windows.sum),
        window_calls=windows.count,
        windows_per_call=round(windows.mean, 2),
    )

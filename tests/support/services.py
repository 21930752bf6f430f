"""Parts of the service by themselves, without an application around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.services.recognition.checkpoint_store import CheckpointEntry, configured_checkpoint
from app.services.recognition.model_host import ModelHost
from app.services.recognition.service import ClipService


@asynccontextmanager
async def model_host(settings: Settings, metrics: Metrics | None = None) -> AsyncIterator[ModelHost]:
    async def choose() -> CheckpointEntry:
        return configured_checkpoint(settings)

    host = await ModelHost.load(settings, metrics or Metrics(), choose)
    try:
        yield host
    finally:
        await host.close()


@asynccontextmanager
async def clip_service(settings: Settings, **changes: Any) -> AsyncIterator[tuple[ClipService, ModelHost]]:
    settings, metrics = settings.model_copy(update=changes), Metrics()
    landmarks = MediaPipeEngine(settings.extractor_workers)
    try:
        async with model_host(settings, metrics) as host:
            clips = ClipService(settings, host, landmarks, metrics)
            try:
                yield clips, host
            finally:
                await clips.close()
    finally:
        landmarks.close()

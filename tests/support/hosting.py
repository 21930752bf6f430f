"""A model host for live sessions around a recogniser that is loaded already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkEngine
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.recogniser import Recogniser
from app.pipeline.stages import no_op_observer
from app.services.captions.hub import LiveHub
from app.services.recognition.device_faults import Device
from app.services.recognition.scheduler import Scheduler
from app.services.recognition.windows import WindowReader


class Hosted:
    """What the hub needs of a ModelHost."""

    def __init__(self, recogniser: Recogniser, scheduler: Scheduler, device: Device) -> None:
        self.recogniser, self.live, self.device = recogniser, scheduler.live, device


@asynccontextmanager
async def scheduling(device: Device | None = None) -> AsyncIterator[Scheduler]:
    """A scheduler with a model thread of its own."""
    reader = WindowReader(device or Device(), no_op_observer, lambda windows: None)
    with ThreadPoolExecutor(1) as model:
        scheduler = Scheduler(reader, reader, model)
        try:
            yield scheduler
        finally:
            await scheduler.close()


@asynccontextmanager
async def running(
    recogniser: Recogniser, settings: Settings, landmarks: LandmarkEngine | None = None
) -> AsyncIterator[LiveHub]:
    """A hub; its sessions read with `recogniser`, which it alone holds."""
    device = Device()
    async with scheduling(device) as scheduler:
        host = Hosted(recogniser, scheduler, device)
        del recogniser
        hub = LiveHub(settings, host, landmarks or MediaPipeEngine(1), Metrics())  # type: ignore[arg-type]
        try:
            yield hub
        finally:
            await hub.close()

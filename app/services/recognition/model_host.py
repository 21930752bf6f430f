"""The active recogniser: its device, its thread, and its queue."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from loguru import logger

from app.core.errors import DeviceFault, NotReady
from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.pipeline.clip_reading import ClipReading
from app.pipeline.recogniser import Recogniser
from app.services.recognition.checkpoint_store import CheckpointEntry
from app.services.recognition.device_faults import Device
from app.services.recognition.loading import load_recogniser
from app.services.recognition.scheduler import Client, Lane, Scheduler
from app.services.recognition.windows import WindowReader

#: Switch interval of the interpreter lock in seconds. The model's thread releases the lock with every call of the
#: network and gets it back only after this time on a busy event loop; the default of 5 ms starves it.
SWITCH_S = 0.0005


class ModelHost:
    """One per process; use from one event loop. Created by `load`, ended by `close`."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        thread: ThreadPoolExecutor,
        checkpoint: CheckpointEntry,
        recogniser: Recogniser,
    ) -> None:
        """For `load`: thread has warmed up the recogniser."""
        sys.setswitchinterval(SWITCH_S)
        self._settings, self._metrics, self._thread = settings, metrics, thread
        self.recogniser = recogniser
        """The recogniser for new clips and sessions; running ones finish on their own."""
        self.checkpoint = checkpoint.id
        """Id of the active checkpoint."""
        self._one_at_a_time = asyncio.Lock()
        self._closed = False
        self.device = Device()
        self._scheduler = Scheduler(
            WindowReader(self.device, metrics.stages("live"), metrics.batch_windows.observe),
            WindowReader(self.device, metrics.stages("clip"), lambda windows: None),
            thread,
            max_clips=settings.max_concurrent_requests,
            batch=settings.max_batch,
            wait_s=settings.batch_wait_ms / 1000,
            on_batch=metrics.batch_clips.observe,
        )
        self.live: Lane[Client] = self._scheduler.live
        """The queue of live sessions, which go before clips."""
        metrics.before_reading(self._update_metrics)

    @classmethod
    async def load(
        cls, settings: Settings, metrics: Metrics, choose: Callable[[], Awaitable[CheckpointEntry]]
    ) -> ModelHost:
        """Load the checkpoint that `choose` names and run it once. Raises CheckpointError or SettingsError with what to
        do; nothing is left open then."""
        began = time.perf_counter()
        thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        try:
            checkpoint = await choose()
            recogniser = await _load(settings, checkpoint, thread)
        except BaseException:
            thread.shutdown(wait=False, cancel_futures=True)
            raise
        logger.info(
            "recogniser {} ({}) ready on {} after {:.1f} s",
            recogniser.model_id,
            recogniser.knows,
            recogniser.device,
            time.perf_counter() - began,
        )
        return cls(settings, metrics, thread, checkpoint, recogniser)

    async def close(self) -> None:
        """Cancel queued clips; returns when the model's thread has ended."""
        self._closed = True
        await self._scheduler.close()
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    def check_ready(self) -> None:
        """Raise NotReady or DeviceFault unless clips and sessions can be read."""
        if self._closed:
            raise NotReady
        if self.device.fault is not None:
            raise DeviceFault

    async def use(self, entry: CheckpointEntry) -> Recogniser:
        """Use this checkpoint from now on; clips and sessions of the old one finish on it.

        Nothing waits meanwhile: it is loaded beside the active one. Raises CheckpointError or SettingsError, and
        changes nothing then.
        """
        async with self._one_at_a_time:
            self.recogniser, self.checkpoint = await _load(self._settings, entry, self._thread), entry.id
            return self.recogniser

    async def read(self, clip: ClipReading) -> None:
        """Read all windows of a clip, between those of live sessions. Cancelling removes the clip from the queue.
        Raises Busy when MAX_CONCURRENT_REQUESTS clips are being read, OutOfMemory, DeviceFault."""
        await self._scheduler.read(clip)

    def _update_metrics(self) -> None:
        self._metrics.waiting.labels("clips").set(self._scheduler.clips.waiting)
        self._metrics.waiting.labels("sessions").set(self.live.waiting)


async def _load(settings: Settings, entry: CheckpointEntry, thread: ThreadPoolExecutor) -> Recogniser:
    # One thread by default: a call takes a few milliseconds, and several threads that synchronise at every operation
    # while landmarks are extracted in parallel made it take fifteen times as long.
    recogniser = await asyncio.to_thread(load_recogniser, settings, 1, entry.folder)
    await asyncio.get_running_loop().run_in_executor(thread, recogniser.warm_up)
    return recogniser

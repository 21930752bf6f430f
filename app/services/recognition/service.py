"""InferenceService: holds the recogniser in memory and answers videos, pictures, landmarks and live frames with it.

Nothing runs on the event loop: videos are read in a bounded pool of extractor threads, the model in a thread of its own
behind a micro-batcher.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import ParamSpec, TypeVar

from loguru import logger

from app.core.errors import DeviceFault, InvalidLandmarks, NotReady
from app.core.limits import Gate
from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    LandmarkTrack,
)
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import Frame
from app.pipeline.recogniser import Recogniser, Recognition
from app.services.recognition.batching import MicroBatcher, in_groups
from app.services.recognition.clips import (
    ClipWarning,
    check_duration,
    keypoints_from_frames,
    keypoints_from_video,
    nothing_seen,
    warnings_about,
)
from app.services.recognition.device_faults import Device, FaultTolerant, told_apart
from app.services.recognition.errors import translated
from app.services.recognition.loading import load_recogniser

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip. Times in seconds; `processing_time_s` counts from the call, waiting included.

    model: id of the recogniser that answered; another one may have been put in its place since.
    """

    recognition: Recognition
    warnings: list[ClipWarning]
    processing_time_s: float
    model: str


#: A clip read, and the id of the recogniser that read it.
Read = tuple[Recognition, str]


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A recogniser, guarded against faults of its device. checkpoint: the id it was loaded by."""

    checkpoint: str
    recogniser: Recogniser
    read: FaultTolerant[Keypoints, Read]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A clip, and who reads it: the recogniser that was there when the request came."""

    clip: Keypoints
    by: _Loaded


class InferenceService:
    """One per process. `await start()` before use, `await stop()` after; belongs to one event loop."""

    def __init__(self, settings: Settings, metrics: Metrics | None = None) -> None:
        self.settings = settings
        self._metrics = metrics or Metrics()
        self._metrics.before_reading(self._tell_load)
        self._on_stage = self._metrics.stages("clip")
        self.jobs = Gate(settings.max_concurrent_requests, "recognition requests")
        self.streams = Gate(settings.max_clients, "live streams", retry_after_s=10)
        self._loaded: _Loaded | None = None
        self._loading = asyncio.Lock()
        self.device = Device()
        self._batcher: MicroBatcher[_Asked, Read] | None = None
        self.landmarks: LandmarkEngine = MediaPipeEngine(settings.extractor_workers)
        self.extract_threads = ThreadPoolExecutor(settings.extractor_workers, thread_name_prefix="extract")
        self.model_thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._running: set[Event] = set()
        self._stopping = False

    # -- life ---------------------------------------------------------------------------------------------------------

    async def start(self, which: Callable[[], Awaitable[tuple[str, Path]]] | None = None) -> None:
        """Load the recogniser and the landmark networks, run both once. which: tells id and folder of the checkpoint
        to load; without it the one that the settings name.

        Raises CheckpointError or SettingsError with what to do. A machine on which MediaPipe does not work still
        starts: landmarks can be sent to it, and videos are answered with 503 `landmarks_unavailable`.
        """
        began = time.perf_counter()
        loop = asyncio.get_running_loop()

        async def load() -> Recogniser:
            configured = self.settings.checkpoint, self.settings.checkpoint_path
            return await self.use(*(await which() if which is not None else configured))

        recogniser, _ = await asyncio.gather(
            load(),
            loop.run_in_executor(self.extract_threads, self._warm_up_landmarks),
        )
        self._batcher = MicroBatcher(
            self._read_batch, self.model_thread, self.settings.max_batch, self.settings.batch_wait_ms / 1000
        )
        self._batcher.start()
        logger.info(
            "recogniser {} ({} glosses) ready on {} after {:.1f} s",
            recogniser.model_id,
            len(recogniser.vocabulary),
            recogniser.device,
            time.perf_counter() - began,
        )

    async def use(self, checkpoint: str, folder: Path) -> Recogniser:
        """Answer with the checkpoint in `folder` from now on; who still has the old one may finish with it.

        Nothing waits meanwhile: it is loaded beside the one that answers. Raises CheckpointError or SettingsError, and
        changes nothing then.
        """
        async with self._loading:
            # One thread by default: a call takes a few milliseconds, and threads that wait for each other at every
            # operation while landmarks are being found beside them made it take fifteen times as long.
            recogniser = await asyncio.to_thread(load_recogniser, self.settings, 1, folder)
            await asyncio.get_running_loop().run_in_executor(self.model_thread, recogniser.warm_up)
            recogniser.on_stage = self._on_stage
            read: FaultTolerant[Keypoints, Read] = FaultTolerant(
                lambda clips: [(found, recogniser.model_id) for found in recogniser.recognise_batch(clips)],
                self.device,
            )
            self._loaded = _Loaded(checkpoint, recogniser, read)
            return recogniser

    async def stop(self) -> None:
        """Cancel what runs, and return when no thread or process of the service is left."""
        self._stopping = True
        for cancel in list(self._running):
            cancel.set()
        if self._batcher is not None:
            await self._batcher.close()
        await asyncio.to_thread(self._stop_threads)
        self._loaded = None

    def _stop_threads(self) -> None:
        self.extract_threads.shutdown(wait=True, cancel_futures=True)
        self.model_thread.shutdown(wait=True, cancel_futures=True)
        self.landmarks.close()

    def _warm_up_landmarks(self) -> None:
        try:
            self.landmarks.warm_up()
        except (LandmarksUnavailable, ExtractionFailed) as problem:
            logger.warning("videos cannot be read on this machine, landmarks can: {}", problem)

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def recogniser(self) -> Recogniser:
        """The loaded recogniser. Raises NotReady before start and while stopping."""
        return self._there().recogniser

    def _there(self) -> _Loaded:
        if self._loaded is None or self._stopping:
            raise NotReady
        return self._loaded

    def computes_on(self) -> str | None:
        """Device of the recogniser; None before the start."""
        return self._loaded.recogniser.device if self._loaded is not None else None

    @property
    def checkpoint(self) -> str:
        """Id of the checkpoint that answers; before the start the one of the settings."""
        return self._loaded.checkpoint if self._loaded is not None else self.settings.checkpoint

    @property
    def loaded(self) -> bool:
        return self._loaded is not None

    def check_ready(self) -> None:
        """Raise NotReady or DeviceFault unless a request would be served."""
        _ = self.recogniser
        if self.device.fault is not None:
            raise DeviceFault

    # -- work ---------------------------------------------------------------------------------------------------------

    async def process_video(self, path: Path) -> Outcome:
        """A video file -> its recognition. Cancelling the call stops the decoder at its next frame.

        Raises InvalidVideo, LandmarksUnavailable and the documented errors of app.core.errors.
        """
        return await self._process(
            lambda track, cancel, reader: keypoints_from_video(
                path, track, self.settings, cancel, on_stage=self._on_stage, recogniser=reader
            )
        )

    async def process_frames(self, frames: Iterable[Frame]) -> Outcome:
        """Pictures with strictly increasing capture times -> their recognition. `frames` is read in a worker thread."""
        return await self._process(
            lambda track, cancel, reader: keypoints_from_frames(
                frames, track, self.settings, cancel, on_stage=self._on_stage, recogniser=reader
            )
        )

    async def process_landmarks(self, keypoints: Keypoints) -> Outcome:
        """Landmarks of one clip -> their recognition. Raises InvalidLandmarks, VideoTooLong."""
        began = time.perf_counter()
        self.check_ready()
        if len(keypoints) == 0:
            raise InvalidLandmarks("The landmarks hold no frame. Send at least one.")
        check_duration(keypoints.duration_s, self.settings)
        with self.jobs.enter():
            return await self._recognise(keypoints, self._there(), began)

    async def _process(self, extract: Callable[[LandmarkTrack, Event, Recogniser], Keypoints]) -> Outcome:
        began = time.perf_counter()
        self.check_ready()
        loaded, cancel = self._there(), Event()

        def in_thread() -> Keypoints:
            with closing(self.landmarks.open()) as track, told_apart(self.device):
                return extract(track, cancel, loaded.recogniser)

        with self.jobs.enter():
            self._running.add(cancel)
            try:
                keypoints = await self._in(self.extract_threads, in_thread)
            finally:
                cancel.set()
                self._running.discard(cancel)
            return await self._recognise(keypoints, loaded, began)

    async def _recognise(self, keypoints: Keypoints, by: _Loaded, began: float) -> Outcome:
        assert self._batcher is not None
        warnings = warnings_about(keypoints)
        if any(warning.code == "no_person" for warning in warnings):
            recognition, model = nothing_seen(keypoints, by.recogniser.fps), by.recogniser.model_id
        else:
            with translated():
                recognition, model = await self._batcher.submit(_Asked(keypoints, by))
        return Outcome(recognition, warnings, time.perf_counter() - began, model)

    def _read_batch(self, asked: Sequence[_Asked]) -> Sequence[Read | BaseException]:
        """One call of the network; of each network, where one has just been replaced."""

        def read(loaded: _Loaded, own: list[_Asked]) -> Sequence[Read | BaseException]:
            self._metrics.batch_clips.observe(len(own))
            return loaded.read([one.clip for one in own])

        return in_groups(asked, lambda one: one.by, read)

    def _tell_load(self) -> None:
        self._metrics.requests_inside.set(self.jobs.inside)
        self._metrics.waiting.labels("clips").set(self._batcher.waiting if self._batcher is not None else 0)

    async def _in(self, executor: Executor, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        work: Awaitable[R] = asyncio.get_running_loop().run_in_executor(executor, lambda: function(*args, **kwargs))
        with translated():
            return await work

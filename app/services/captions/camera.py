"""The camera of one session: images become landmarks in worker threads, in their order, two of them at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Protocol, TypeVar

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.core.errors import DeviceFault, ExtractorUnavailable, InternalError, InvalidFrame, OutOfMemory, ServiceError
from app.pipeline.image_reader import ImageReader
from app.pipeline.module1_preprocessing.images import picture_from_bytes
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    LandmarkTrack,
    TrackLost,
)
from app.pipeline.recogniser import Recogniser
from app.pipeline.stages import DECODE, LANDMARKS, OnStage, Stopwatch, no_op_observer
from app.services.recognition.device_faults import Device, raising_device_errors
from app.services.recognition.errors import pipeline_errors_as_service_errors

#: Images that may wait for their landmarks: enough for a short stall; on a slow machine, this much delay.
MAX_WAITING_IMAGES = 4
#: Images of one camera in its track at once: while the hands of one are found, the body of the next is. More would
#: add delay without being faster.
IN_FLIGHT = 2
#: Seconds without an image (paused, or connection lost) after which a camera releases its track, which holds about
#: 190 MB. Its next image opens another; the sentence has ended by then.
QUIET_S = 5.0
#: Tracks that a camera may lose to a crash before it ends: an image that crashes the engine is often sent again.
MAX_TRACKS_LOST = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WaitingImage:
    """A compressed image that waits for its landmarks."""

    data: bytes
    time_s: float
    """Capture time in the stream."""
    arrived: float
    """When it arrived (monotonic seconds)."""


@dataclass(frozen=True, slots=True)
class FoundInImage:
    """Output of the track and the recogniser for one image."""

    image: WaitingImage
    width: int
    height: int
    points: NDArray[np.float32]
    """(75, 3)"""
    rgb: NDArray[np.float32] | None
    """(1, D): what the recogniser's RGB encoder made of the image, if it has one."""


class CameraClient(Protocol):
    """The session that a camera works for."""

    @property
    def recogniser(self) -> Recogniser: ...

    def on_landmarks(self, found: FoundInImage) -> None: ...

    def on_bad_image(self, problem: ServiceError) -> None:
        """An image could not be read; the next ones still are."""
        ...

    def on_images_read(self) -> None:
        """No image is waiting any more."""
        ...

    def fail(self, problem: ServiceError) -> None:
        """The camera failed."""
        ...


@dataclass(frozen=True, slots=True)
class _Sent:
    """An image whose landmarks are being found."""

    image: WaitingImage
    width: int
    height: int
    pixels: NDArray[np.uint8] | None
    """Kept where the recogniser reads them too."""


class Camera:
    """Reads a session's images until `close`, on a landmark track that it holds while they come."""

    def __init__(
        self,
        client: CameraClient,
        threads: Executor,
        landmarks: LandmarkEngine,
        device: Device,
        on_stage: OnStage = no_op_observer,
    ) -> None:
        self._client, self._threads, self._landmarks = client, threads, landmarks
        self._device, self._on_stage = device, on_stage
        self._images: deque[WaitingImage] = deque()
        self._in_flight = False
        self._opened: LandmarkTrack | None = None
        self._tracks_lost = 0
        self._pictures = ImageReader.of(client.recogniser, on_stage)
        self._track_lock, self._closed = Lock(), False
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="camera")

    @property
    def waiting(self) -> int:
        """Images that have not been begun."""
        return len(self._images)

    @property
    def busy(self) -> bool:
        """Some image has no landmarks yet."""
        return self._in_flight or bool(self._images)

    def put(self, image: WaitingImage) -> int:
        """Read this image in its turn; returns how many older ones were dropped for it."""
        self._images.append(image)
        dropped = 0
        while len(self._images) > MAX_WAITING_IMAGES:
            self._images.popleft()
            dropped += 1
        self._something.set()
        return dropped

    def clear(self) -> int:
        """Drop the images that wait; returns how many."""
        dropped = len(self._images)
        self._images.clear()
        return dropped

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # In a thread, after an image that may still be processed there.
        await asyncio.get_running_loop().run_in_executor(self._threads, self._close_track)

    async def _run(self) -> None:
        try:
            while True:
                await self._something.wait()
                await self._read_until_quiet()
                await self._in_thread(self._give_back)
        except (OutOfMemory, DeviceFault) as problem:
            logger.opt(exception=problem).error("a live session failed")
            self._fail(InternalError("The session failed."))
        except (LandmarksUnavailable, ExtractionFailed) as problem:
            logger.warning("no landmarks for a live session: {}", problem)
            self._fail(ExtractorUnavailable(str(problem)))

    async def _read_until_quiet(self) -> None:
        sent: deque[_Sent] = deque()
        while True:
            self._something.clear()
            while self._images or sent:
                await self._step(sent)
            self._client.on_images_read()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._something.wait()
            except TimeoutError:
                return

    def _fail(self, problem: ServiceError) -> None:
        self.clear()
        self._in_flight = False
        self._client.fail(problem)

    async def _step(self, sent: deque[_Sent]) -> None:
        """Send one image to the track, or receive the landmarks of the oldest one."""
        try:
            if self._images and len(sent) < IN_FLIGHT:
                self._in_flight = True
                sent.append(await self._in_thread(partial(self._send, self._images.popleft())))
                return
            points, rgb = await self._in_thread(partial(self._receive, sent[0].pixels))
        except (OutOfMemory, DeviceFault):
            raise
        except TrackLost as problem:
            self._tracks_lost += 1
            if self._tracks_lost > MAX_TRACKS_LOST:
                raise
            logger.warning("a live session goes on with another landmark track: {}", problem)
            await self._in_thread(self._give_back)
            sent.clear()
            self._in_flight = False
            self._client.on_bad_image(InvalidFrame("Finding landmarks broke off at this image; send the next one."))
        except ServiceError as problem:
            self._in_flight = bool(sent)
            self._client.on_bad_image(InvalidFrame(problem.detail))
        else:
            done = sent.popleft()
            self._in_flight = bool(sent)
            self._client.on_landmarks(FoundInImage(done.image, done.width, done.height, points, rgb))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Shielded: a thread cannot be stopped, but the task that waits for it can be.
        running = asyncio.get_running_loop().run_in_executor(self._threads, work)
        waited = asyncio.shield(running)
        # If the wait is cancelled around the time the work fails, its exception is not retrieved; asyncio would log it.
        for future in (running, waited):
            future.add_done_callback(lambda future: future.cancelled() or future.exception())
        return await waited

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _send(self, image: WaitingImage) -> _Sent:
        """Decode an image and hand it to the landmark engine."""
        watch = Stopwatch()
        with watch.stage(DECODE), pipeline_errors_as_service_errors():
            rgb = picture_from_bytes(image.data)
        watch.report(self._on_stage)
        with self._track_lock:
            # Opened for the first image that decodes, so bytes that are not an image cost no track.
            if self._opened is None and not self._closed:
                self._opened = self._landmarks.open()
            self._track.send(rgb)
        return _Sent(image, rgb.shape[1], rgb.shape[0], rgb if self._pictures is not None else None)

    def _receive(self, pixels: NDArray[np.uint8] | None) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Landmarks (75, 3) of the oldest image sent, and what the RGB encoder makes of its pixels (1, D)."""
        watch = Stopwatch()
        with self._track_lock, watch.stage(LANDMARKS):
            points = self._track.receive()
        watch.report(self._on_stage)
        if self._pictures is None or pixels is None:
            return points, None
        with raising_device_errors(self._device):
            return points, self._pictures.push(pixels, points)[None]

    @property
    def _track(self) -> LandmarkTrack:
        if self._opened is None:
            raise ExtractionFailed("the session has ended")
        return self._opened

    def _close_track(self) -> None:
        with self._track_lock:
            self._closed = True
        self._give_back()

    def _give_back(self) -> None:
        with self._track_lock:
            track, self._opened = self._opened, None
        if track is not None:
            track.close()

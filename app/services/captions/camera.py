"""The camera of one session: pictures become landmarks in worker threads, in their order, two of them at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TypeVar

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.core.errors import DeviceFault, OutOfMemory, ServiceError
from app.pipeline.image_reader import ImageReader
from app.pipeline.module1_preprocessing.images import picture_from_bytes
from app.pipeline.module1_preprocessing.landmarks.engine import (
    ExtractionFailed,
    LandmarkEngine,
    LandmarksUnavailable,
    LandmarkTrack,
)
from app.pipeline.stages import DECODE, LANDMARKS, OnStage, Stopwatch, no_op_observer
from app.services.captions.commands import Close, LiveError
from app.services.captions.session import LiveSession, WaitingPicture
from app.services.recognition.device_faults import Device, raising_device_errors
from app.services.recognition.errors import pipeline_errors_as_service_errors

#: Pictures of one camera on its track at once: while the hands of one are found, the body of the next is. More would
#: not be faster and would be older when they come out.
IN_FLIGHT = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Sent:
    """A picture whose landmarks are being found; pixels: kept where the recogniser reads them too."""

    picture: WaitingPicture
    width: int
    height: int
    pixels: NDArray[np.uint8] | None


class Camera:
    """Reads a session's waiting pictures until `close`, on a landmark track of its own."""

    def __init__(
        self,
        session: LiveSession,
        threads: Executor,
        landmarks: LandmarkEngine,
        device: Device,
        on_stage: OnStage = no_op_observer,
    ) -> None:
        self._device = device
        self._session, self._threads, self._landmarks, self._on_stage = session, threads, landmarks, on_stage
        self._opened: LandmarkTrack | None = None
        self._pictures = ImageReader.of(session.recogniser, on_stage)
        self._track_lock, self._closed = Lock(), False
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"camera-{session.id}")

    def wake(self) -> None:
        self._something.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # In a thread, behind a picture that may still be looked at there.
        await asyncio.get_running_loop().run_in_executor(self._threads, self._close_track)

    async def _run(self) -> None:
        session = self._session
        sent: deque[_Sent] = deque()
        await self._something.wait()
        try:  # first of all: it takes a moment, in which old pictures make room for new ones
            await self._in_thread(self._open)
        except (LandmarksUnavailable, ExtractionFailed) as problem:
            self._fail(problem)
            return
        while True:
            await self._something.wait()
            self._something.clear()
            while session.pictures or sent:
                try:
                    if session.pictures and len(sent) < IN_FLIGHT:
                        picture = session.pictures.popleft()
                        session.looking = True
                        sent.append(await self._in_thread(partial(self._send, picture)))
                        continue
                    points, rgb = await self._in_thread(partial(self._receive, sent[0].pixels))
                except (OutOfMemory, DeviceFault) as problem:
                    session.deliver(problem)
                    return
                except ServiceError as problem:
                    session.counters.dropped += 1
                    session.complain(LiveError("invalid_frame", problem.detail))
                except (LandmarksUnavailable, ExtractionFailed) as problem:
                    self._fail(problem)
                    return
                else:
                    done = sent.popleft()
                    session.saw_picture(done.width, done.height)
                    session.add_landmarks(points[None], [done.picture.time_s], done.picture.arrived, rgb)
                    session.show_landmarks(points, done.picture.time_s)
                session.looking = bool(sent)
                session.predict()
            session.pictures_read()

    def _fail(self, problem: Exception) -> None:
        logger.warning("no landmarks for a live session: {}", problem)
        self._session.failed = LiveError("landmarks_unavailable", str(problem), Close.INTERNAL)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Shielded: a thread cannot be stopped, and whoever waits for it may be.
        done = asyncio.get_running_loop().run_in_executor(self._threads, work)
        done.add_done_callback(lambda future: future.cancelled() or future.exception())  # also where nobody waits
        return await asyncio.shield(done)

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._track_lock:
            if not self._closed:
                self._opened = self._landmarks.open()

    def _send(self, picture: WaitingPicture) -> _Sent:
        """Decode a picture and hand it to the landmark engine."""
        watch = Stopwatch()
        with watch.stage(DECODE), pipeline_errors_as_service_errors():
            rgb = picture_from_bytes(picture.data)
        watch.report(self._on_stage)
        with self._track_lock:
            self._track.send(rgb)
        return _Sent(picture, rgb.shape[1], rgb.shape[0], rgb if self._pictures is not None else None)

    def _receive(self, pixels: NDArray[np.uint8] | None) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Landmarks (75, 3) of the oldest picture sent, and what the RGB encoder makes of its pixels (1, D)."""
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
            track, self._opened = self._opened, None
            self._closed = True
        if track is not None:
            track.close()

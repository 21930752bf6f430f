"""The camera of one session: pictures become landmarks in worker threads, one picture of a session at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from threading import Lock

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.core.errors import ServiceError
from app.pipeline.module1_preprocessing.extractor import (
    ExtractionFailed,
    ExtractorPool,
    LandmarksUnavailable,
    MediaPipeExtractor,
)
from app.pipeline.stages import DECODE, LANDMARKS, OnStage, Stopwatch, unheard
from app.services.live.protocol import Close, LiveError
from app.services.live.session import LiveSession
from app.services.pictures import picture_from_bytes


class Camera:
    """Reads a session's waiting pictures until `close`. A landmark graph follows one person, so each borrows its own
    from `graphs`, which keeps it for the next session."""

    def __init__(
        self, session: LiveSession, threads: Executor, graphs: ExtractorPool, on_stage: OnStage = unheard
    ) -> None:
        self._session, self._threads, self._graphs, self._on_stage = session, threads, graphs, on_stage
        self._extractor: MediaPipeExtractor | None = None
        self._graph_lock, self._closed = Lock(), False
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"camera-{session.id}")

    def wake(self) -> None:
        self._something.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        # In a thread, behind a picture that may still be looked at there.
        await asyncio.get_running_loop().run_in_executor(self._threads, self._give_back)

    def _give_back(self) -> None:
        with self._graph_lock:
            extractor, self._extractor = self._extractor, None
            self._closed = True
        if extractor is not None:
            self._graphs.give_back(extractor)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        session = self._session
        while True:
            await self._something.wait()
            self._something.clear()
            while session.pictures:
                picture = session.pictures.popleft()
                session.looking = True
                try:
                    looking = loop.run_in_executor(self._threads, self._look, picture.data)
                    points, width, height = await asyncio.shield(looking)  # a thread cannot be stopped
                except ServiceError as problem:
                    session.counters.dropped += 1
                    session.complain(LiveError("invalid_frame", problem.detail))
                except (LandmarksUnavailable, ExtractionFailed) as problem:
                    logger.warning("no landmarks for a live session: {}", problem)
                    session.failed = LiveError("landmarks_unavailable", str(problem), Close.INTERNAL)
                    return
                else:
                    session.saw_picture(width, height)
                    session.add_landmarks(points[None], [picture.time_s], picture.arrived)
                    session.show_landmarks(points, picture.time_s)
                finally:
                    session.looking = False
                session.predict()
            session.pictures_read()

    def _look(self, data: bytes) -> tuple[NDArray[np.float32], int, int]:
        """Landmarks (75, 3) of a picture, and its width and height."""
        watch = Stopwatch()
        with watch.stage(DECODE):
            rgb = picture_from_bytes(data)
        with self._graph_lock:
            if self._closed:
                raise ExtractionFailed("the session has ended")
            if self._extractor is None:
                self._extractor = self._graphs.borrow()
            with watch.stage(LANDMARKS):
                points = self._extractor.extract_frame(rgb, 0.0)
        watch.tell(self._on_stage)
        return points, rgb.shape[1], rgb.shape[0]

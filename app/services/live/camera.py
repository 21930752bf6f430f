"""The camera of one session: pictures become landmarks in worker threads, one picture of a session at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.core.errors import ServiceError
from app.pipeline.module1_preprocessing.extractor import (
    ExtractionFailed,
    LandmarksUnavailable,
    MediaPipeExtractor,
    PoseExtractor,
)
from app.pipeline.stages import DECODE, LANDMARKS, OnStage, Stopwatch, unheard
from app.services.live.protocol import Close, LiveError
from app.services.live.session import LiveSession
from app.services.pictures import picture_from_bytes


class Camera:
    """Reads a session's waiting pictures until `close`. A landmark graph follows one person, so each has its own."""

    def __init__(
        self,
        session: LiveSession,
        threads: Executor,
        make_extractor: Callable[[], PoseExtractor] = MediaPipeExtractor,
        on_stage: OnStage = unheard,
    ) -> None:
        self._on_stage = on_stage
        self._session, self._threads, self._make = session, threads, make_extractor
        self._extractor: PoseExtractor | None = None
        self._something = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"camera-{session.id}")

    def wake(self) -> None:
        self._something.set()

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._extractor is not None:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._extractor.close)

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
                    # Shielded: a thread cannot be stopped, and its graph must not be closed under it.
                    points = await asyncio.shield(loop.run_in_executor(self._threads, self._look, picture.data))
                except ServiceError as problem:
                    session.counters.dropped += 1
                    session.complain(LiveError("invalid_frame", problem.detail))
                except (LandmarksUnavailable, ExtractionFailed) as problem:
                    logger.warning("no landmarks for a live session: {}", problem)
                    session.failed = LiveError("landmarks_unavailable", str(problem), Close.INTERNAL)
                    return
                else:
                    session.add_landmarks(points[None], [picture.time_s], picture.arrived)
                    session.show_landmarks(points, picture.time_s)
                finally:
                    session.looking = False
                session.predict()
            session.pictures_read()

    def _look(self, data: bytes) -> NDArray[np.float32]:
        if self._extractor is None:
            self._extractor = self._make()
        watch = Stopwatch()
        with watch.stage(DECODE):
            rgb = picture_from_bytes(data)
        with watch.stage(LANDMARKS):
            points = self._extractor.extract_frame(rgb, 0.0)
        watch.tell(self._on_stage)
        return points

"""The model's side of live captions: the windows of all sessions meet here and share calls of the network.

One call runs at a time, in the model's thread. Sessions take turns: whoever waited longest goes first, each with all it
has, at most `max_batch` sessions a call; so no session waits for more than one round of the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.monitoring.metrics import Metrics
from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.stages import TEMPORAL
from app.pipeline.streaming import CaptionStream, StreamUpdate, WindowJob, run_jobs
from app.services.recognition.batching import in_groups
from app.services.recognition.device_faults import Device, FaultTolerant

#: Windows in one call of the network.
MAX_WINDOWS = 16
#: Of one call in the moving average of delays.
DELAY_WEIGHT = 0.1


@dataclass(frozen=True, slots=True)
class Work:
    """New frames (n, 75, 3) of one stream with their times in seconds, n >= 0; flush: end the sentence behind them;
    rgb: of their pictures, as `CaptionStream.add` takes it."""

    stream: CaptionStream
    points: NDArray[np.float32]
    times: Sequence[float]
    flush: bool = False
    rgb: NDArray[np.float32] | None = None


#: What came of one piece of work: sentences that ended, then how the running one stands; or why it failed.
Outcome = list[StreamUpdate] | Exception


class WindowReader:
    """Runs in the model's thread: brings streams forward together, one batch of windows after the other."""

    def __init__(
        self,
        max_windows: int = MAX_WINDOWS,
        metrics: Metrics | None = None,
        device: Device | None = None,
    ) -> None:
        metrics = metrics or Metrics()
        self._on_stage, self._batch_windows = metrics.stages("live"), metrics.batch_windows
        self._max_windows = max_windows
        self._guarded = FaultTolerant(self._readings, device or Device())

    def advance(self, batch: Sequence[Work]) -> list[Outcome]:
        """Outcomes in the order of `batch`; a fault of one stream is its own outcome alone."""
        streams = [work.stream for work in batch]
        outcomes: list[Outcome] = []
        for work in batch:
            try:
                if len(work.points):
                    work.stream.add(work.points, work.times, work.rgb)
                outcomes.append([])
            except ValueError as problem:
                outcomes.append(problem)
        while jobs := [
            (i, job)
            for i, (work, outcome) in enumerate(zip(batch, outcomes, strict=True))
            if isinstance(outcome, list) and (job := work.stream.next_job(partial=not work.flush))
        ]:
            self._read(streams, jobs, outcomes, lambda i, job, reading: streams[i].apply(job, reading))
        last = [
            (i, work.stream.last_job())
            for i, (work, outcome) in enumerate(zip(batch, outcomes, strict=True))
            if work.flush and isinstance(outcome, list)
        ]
        self._read(
            streams,
            [(i, job) for i, job in last if job is not None],
            outcomes,
            lambda i, job, reading: streams[i].end_sentence(job, reading),
        )
        for i, job in last:
            outcome = outcomes[i]
            if job is None and isinstance(outcome, list):
                outcome.append(streams[i].end_sentence(None, None))
        return [_condensed(outcome) for outcome in outcomes]

    def _read(
        self,
        streams: Sequence[CaptionStream],
        jobs: list[tuple[int, WindowJob]],
        outcomes: list[Outcome],
        take: Callable[[int, WindowJob, WindowOutput], StreamUpdate],
    ) -> None:
        for first in range(0, len(jobs), self._max_windows):
            part = jobs[first : first + self._max_windows]
            for (i, job), reading in zip(part, self._guarded([(streams[i], job) for i, job in part]), strict=True):
                outcome = outcomes[i]
                if isinstance(reading, Exception):
                    outcomes[i] = reading
                elif isinstance(outcome, list):
                    try:
                        outcome.append(take(i, job, reading))
                    except ValueError as problem:
                        outcomes[i] = problem

    def _readings(self, jobs: Sequence[tuple[CaptionStream, WindowJob]]) -> list[WindowOutput]:
        """One call of the network; of each network, while sessions go on with one that has been replaced."""

        def read(recogniser: Recogniser, own: list[tuple[CaptionStream, WindowJob]]) -> list[WindowOutput]:
            began = time.perf_counter()
            readings = run_jobs(recogniser, own)
            self._on_stage(TEMPORAL, time.perf_counter() - began)
            self._batch_windows.observe(len(own))
            return readings

        return in_groups(jobs, lambda job: job[0].recogniser, read)


def _condensed(outcome: Outcome) -> Outcome:
    """Of updates in between only the last counts; the end of a sentence always does."""
    if isinstance(outcome, Exception):
        return outcome
    return [update for i, update in enumerate(outcome) if update.ended or i == len(outcome) - 1]


class Client(Protocol):
    """What the engine needs of a session."""

    def take_work(self) -> Work | None:
        """Frames and requests that wait; None when there is nothing worth a call yet."""
        ...

    def on_result(self, outcome: Outcome) -> None: ...


class CaptionEngine:
    """Lets sessions take turns at the model. For one event loop."""

    def __init__(self, reader: WindowReader, model_thread: Executor, max_batch: int = 24) -> None:
        self._reader = reader
        self._thread = model_thread
        self._max_batch = max_batch
        self._turn: deque[tuple[Client, float]] = deque()
        self._waiting: set[Client] = set()
        #: Seconds from asking for a turn to being answered, of those who waited longest; a moving average.
        self.delay_s = 0.0
        self._oldest_s = 0.0  # when the first of the running batch asked for its turn
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="caption-engine")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def waiting(self) -> int:
        """Sessions that wait for their turn."""
        return len(self._waiting)

    def wants_turn(self, client: Client) -> None:
        """The client has work. Called as often as one likes; it stands in the queue once."""
        if client not in self._waiting:
            self._waiting.add(client)
            self._turn.append((client, time.monotonic()))
            self._something.set()

    def forget(self, client: Client) -> None:
        self._waiting.discard(client)

    async def _serve(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while await self._round():
                pass

    async def _round(self) -> bool:
        """One batch. A call of its own, so that nothing of the last sessions and their recogniser stays behind."""
        batch = self._next_batch()
        if not batch:
            return False
        asked = self._oldest_s
        work = [work for _, work in batch]
        try:
            outcomes = await asyncio.get_running_loop().run_in_executor(self._thread, self._reader.advance, work)
        except Exception as problem:  # noqa: BLE001 - belongs to these sessions; the others go on
            logger.exception("live captions failed on a batch of {}", len(batch))
            outcomes = [problem] * len(batch)
        self.delay_s += DELAY_WEIGHT * (time.monotonic() - asked - self.delay_s)
        for (client, _), outcome in zip(batch, outcomes, strict=True):
            client.on_result(outcome)
        return True

    def _next_batch(self) -> list[tuple[Client, Work]]:
        batch: list[tuple[Client, Work]] = []
        while self._turn and len(batch) < self._max_batch:
            client, asked = self._turn.popleft()
            if client not in self._waiting:
                continue
            self._waiting.discard(client)
            if (work := client.take_work()) is not None:
                if not batch:
                    self._oldest_s = asked
                batch.append((client, work))
        return batch

"""One queue for one model: clients take turns at its thread, live sessions before clips, fairly within each kind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Generic, Protocol, TypeVar

from loguru import logger

from app.core.limits import ConcurrencyLimit
from app.pipeline.clip_reading import ClipReading
from app.pipeline.recogniser import Recogniser, WindowOutput
from app.services.recognition.windows import Turn, Window, WindowReader

#: Sessions in one round. All of them wait for the last one's result: rounds of 32 take less time for each session, but
#: with 100 sessions the captions are twice as late (RESULTS.md, "Cost").
MAX_SESSIONS = 12
#: Windows of clips, which are longer, in one round.
CLIP_WINDOWS = 16
#: Windows of clips in one round while sessions are being read: a session waits for no more than that.
CLIP_WINDOWS_BESIDE_LIVE = 4
#: Seconds for which a session counts as being read after its last turn.
LIVE_S = 2.0
#: Seconds after which clips get a round even while sessions keep the model busy.
CLIPS_AT_LEAST_S = 0.25
#: Weight of one round in the moving average of delays.
DELAY_WEIGHT = 0.1


class Client(Protocol):
    """What the scheduler needs of a live session."""

    def take_work(self) -> Turn | None:
        """The work to do; None if there is not enough for a call yet."""
        ...

    def on_result(self, outcome: Any) -> None:
        """Receive the result of the turn, or the exception that ended the whole round."""
        ...


C = TypeVar("C")


class Lane(Generic[C]):
    """Clients of one priority in the order of their requests; each is queued at most once."""

    def __init__(self, wake: Callable[[], object]) -> None:
        """wake: called when a client is queued."""
        self._asked: OrderedDict[C, float] = OrderedDict()
        self._wake = wake
        #: Seconds from request to result, of the client that waited longest; a moving average.
        self.delay_s = 0.0

    @property
    def waiting(self) -> int:
        """Number of queued clients."""
        return len(self._asked)

    @property
    def oldest(self) -> float:
        """When the longest-waiting client was queued, by the monotonic clock; inf if none is queued."""
        return next(iter(self._asked.values()), float("inf"))

    def wants_turn(self, client: C) -> None:
        """Queue a client that has work; no effect if it is queued already."""
        if client not in self._asked:
            self._asked[client] = time.monotonic()
            self._wake()

    def forget(self, client: C) -> None:
        self._asked.pop(client, None)

    def pop(self) -> tuple[C, float]:
        """The next client, and when it was queued. Raises KeyError if none is queued."""
        return self._asked.popitem(last=False)

    def answered(self, asked: float) -> None:
        """A round is over whose first client was queued at that time."""
        self.delay_s += DELAY_WEIGHT * (time.monotonic() - asked - self.delay_s)


class _QueuedClip:
    """A clip in the queue, until all its windows have been read, and its turns (see `Turn`)."""

    def __init__(self, reading: ClipReading, lane: Lane[_QueuedClip]) -> None:
        self._reading, self._lane = reading, lane
        self.recogniser: Recogniser = reading.recogniser
        self.outcome: Exception | None = None
        """What went wrong."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._windows: list[Window] = []

    def take_work(self, windows: int) -> _QueuedClip:
        self._windows = [(self._reading, job) for job in self._reading.next_jobs(windows)]
        return self

    def new_frames(self) -> None:
        return None

    def next_windows(self) -> Sequence[Window]:
        windows, self._windows = self._windows, []
        return windows

    def take(self, window: Window, output: WindowOutput) -> None:
        if self.outcome is None:
            self._reading.apply(window[1], output)

    def fail(self, problem: Exception) -> None:
        self.outcome = self.outcome or problem

    def on_result(self, outcome: Exception | None) -> None:
        if self.done.done():  # cancelled in the meantime
            return
        if outcome is not None:
            self.done.set_exception(outcome)
        elif self._reading.windows_left:
            self._lane.wants_turn(self)
        else:
            self.done.set_result(None)


class Scheduler:
    """Gives clients turns at the model's thread. Needs a running event loop; use from that one.

    Live sessions go first, those that waited longest before the others, each with all its work. Between them, and at
    least every CLIPS_AT_LEAST_S, clips get a turn, a few windows of each at a time.
    """

    def __init__(
        self,
        live_reader: WindowReader,
        clip_reader: WindowReader,
        thread: Executor,
        *,
        max_clips: int = 32,
        batch: int = 8,
        wait_s: float = 0.01,
        on_batch: Callable[[int], object] = lambda clips: None,
    ) -> None:
        """max_clips: clips that may be waiting or being read. batch: clips that share a round. wait_s: how long the
        first clip waits for others. on_batch: called with the number of clips of each round."""
        self._live_reader, self._clip_reader, self._thread = live_reader, clip_reader, thread
        self._batch, self._wait_s, self._on_batch = batch, wait_s, on_batch
        self._limit = ConcurrencyLimit(max_clips, "clips")
        self._inside: set[_QueuedClip] = set()
        self._wake = asyncio.Event()
        self.live: Lane[Client] = Lane(self._wake.set)
        self.clips: Lane[_QueuedClip] = Lane(self._wake.set)
        self._live_at = self._clips_at = float("-inf")  # when the latest round of each ended
        self._gathered = False  # the queued clips have waited for others, and are being read
        self._task = asyncio.create_task(self._serve(), name="model-scheduler")

    async def close(self) -> None:
        """Stop; queued clips are cancelled."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for clip in self._inside:
            clip.done.cancel()

    async def read(self, reading: ClipReading) -> None:
        """Read all windows of a clip. Cancelling the call removes the clip from the queue. Raises Busy when too many
        are queued, OutOfMemory, DeviceFault, and what the network raises."""
        if not reading.windows_left:
            return
        if self._task.done():
            raise asyncio.CancelledError
        with self._limit.enter():
            clip = _QueuedClip(reading, self.clips)
            self._inside.add(clip)
            self.clips.wants_turn(clip)
            try:
                await clip.done
            finally:
                self._inside.discard(clip)
                self.clips.forget(clip)

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            if self._live_next():
                await self._live_round()
            elif self.clips.waiting and self._gather_s() <= 0:
                await self._clip_round()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._gather_s() if self.clips.waiting else None):
                        await self._wake.wait()

    def _live_next(self) -> bool:
        if not self.live.waiting:
            return False
        overdue = time.monotonic() - max(self._clips_at, self.clips.oldest) >= CLIPS_AT_LEAST_S
        return not (overdue and self._gather_s() <= 0)

    def _gather_s(self) -> float:
        """Seconds that queued clips still wait for others."""
        if self._gathered or self.clips.waiting >= self._batch:
            return 0.0
        return self.clips.oldest + self._wait_s - time.monotonic()

    # A method per round, so that no reference to its sessions, clips and their recogniser is kept.

    async def _live_round(self) -> None:
        batch: list[tuple[Client, Turn]] = []
        first = 0.0
        while self.live.waiting and len(batch) < MAX_SESSIONS:
            client, asked = self.live.pop()
            if (turn := client.take_work()) is not None:
                first = first or asked
                batch.append((client, turn))
        if not batch:
            return
        await self._run(self._live_reader, batch)
        self._live_at = time.monotonic()
        self.live.answered(first)
        for client, turn in batch:
            client.on_result(turn.outcome)

    async def _clip_round(self) -> None:
        beside_live = self.live.waiting or time.monotonic() - self._live_at < LIVE_S
        windows = CLIP_WINDOWS_BESIDE_LIVE if beside_live else CLIP_WINDOWS
        clips = [self.clips.pop()[0] for _ in range(min(self.clips.waiting, self._batch, windows))]
        share = windows // len(clips)
        batch = [(clip, clip.take_work(share)) for clip in clips]
        self._on_batch(len(batch))
        await self._run(self._clip_reader, batch)
        for clip, turn in batch:
            clip.on_result(turn.outcome)
        self._clips_at = time.monotonic()
        self._gathered = self.clips.waiting > 0

    async def _run(self, reader: WindowReader, batch: Sequence[tuple[Any, Turn]]) -> None:
        turns = [turn for _, turn in batch]
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, reader.run, turns)
        except Exception as problem:  # noqa: BLE001 - it belongs to these clients; the others continue
            logger.exception("the model failed on a batch of {}", len(turns))
            for turn in turns:
                turn.fail(problem)

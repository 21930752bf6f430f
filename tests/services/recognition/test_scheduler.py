"""Turns at the model: who goes first, who shares a round, and who leaves the queue."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core.errors import Busy
from app.services.recognition import scheduler as module
from app.services.recognition.scheduler import Scheduler


class Clip:
    """Stands for a ClipReading with some windows."""

    recogniser = None

    def __init__(self, name: str, windows: int = 1) -> None:
        self.name, self.windows_left = name, windows

    def next_jobs(self, limit: int) -> list[str]:
        taken = min(limit, self.windows_left)
        self.windows_left -= taken
        return [self.name] * taken

    def apply(self, job: str, output: str) -> None: ...


class Session:
    """A live session that always has one window to read, until it is `quiet`."""

    recogniser = None
    outcome: Any = None

    def __init__(self, name: str, scheduler: Scheduler, quiet: Callable[[], bool] = lambda: True) -> None:
        self.name, self.scheduler, self.quiet = name, scheduler, quiet
        self.turns = 0
        self.delivered: list[Any] = []

    def take_work(self) -> Session:
        self.windows = [(self, self.name)]
        return self

    def next_windows(self) -> Sequence[Any]:
        windows, self.windows = self.windows, []
        return windows

    def take(self, window: Any, output: str) -> None:
        self.turns += 1

    def fail(self, problem: Exception) -> None:
        self.outcome = problem

    def on_result(self, outcome: Any) -> None:
        self.delivered.append(outcome)
        if not self.quiet():
            self.scheduler.live.wants_turn(self)


class Model:
    """Stands for a WindowReader, and remembers its calls. 'bad' fails alone, 'fatal' fails the whole call."""

    def __init__(self, takes_s: float = 0.0) -> None:
        self.calls: list[list[str]] = []
        self.takes_s = takes_s
        self.may_run = threading.Event()
        self.may_run.set()
        self.called = threading.Event()

    def run(self, turns: Sequence[Any]) -> None:
        windows = [(turn, window) for turn in turns for window in turn.next_windows()]
        self.calls.append([window[1] for _, window in windows])
        self.called.set()
        assert self.may_run.wait(20)
        time.sleep(self.takes_s)
        if any(window[1] == "fatal" for _, window in windows):
            raise RuntimeError("all fail")
        for turn, window in windows:
            if window[1] == "bad":
                turn.fail(ValueError("unlucky"))
            else:
                turn.take(window, "read")


@asynccontextmanager
async def scheduling(model: Model, **options: Any) -> AsyncIterator[Scheduler]:
    with ThreadPoolExecutor(1) as thread:
        scheduler = Scheduler(model, model, thread, **options)  # type: ignore[arg-type]
        try:
            yield scheduler
        finally:
            model.may_run.set()
            await scheduler.close()


async def read(scheduler: Scheduler, *clips: Clip) -> list[Any]:
    async with asyncio.timeout(20):
        return await asyncio.gather(*(scheduler.read(clip) for clip in clips), return_exceptions=True)  # type: ignore[arg-type]


async def busy_with(scheduler: Scheduler, model: Model, clip: Clip) -> asyncio.Task[list[Any]]:
    """The model works on this clip, and goes on when it may."""
    model.may_run.clear()
    model.called.clear()
    task = asyncio.create_task(read(scheduler, clip))
    await asyncio.to_thread(model.called.wait, 20)
    return task


# -- sharing a round --------------------------------------------------------------------------------------------------


async def test_clips_that_come_together_share_a_call() -> None:
    model = Model()
    async with scheduling(model, batch=5, wait_s=20) as scheduler:
        assert await read(scheduler, *(Clip(str(n)) for n in range(5))) == [None] * 5
    assert model.calls == [["0", "1", "2", "3", "4"]]


async def test_no_call_has_more_clips_than_the_limit() -> None:
    model = Model()
    async with scheduling(model, batch=3, wait_s=0.01) as scheduler:
        await read(scheduler, *(Clip(str(n)) for n in range(10)))
    assert max(map(len, model.calls)) == 3
    assert sorted(name for call in model.calls for name in call) == sorted(map(str, range(10)))


async def test_what_waits_while_the_model_works_goes_together_next() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        first = await busy_with(scheduler, model, Clip("1"))
        others = asyncio.create_task(read(scheduler, Clip("2"), Clip("3"), Clip("4")))
        await asyncio.sleep(0.01)
        model.may_run.set()
        await asyncio.gather(first, others)
    assert model.calls == [["1"], ["2", "3", "4"]]


async def test_one_bad_clip_fails_alone() -> None:
    async with scheduling(Model(), batch=3, wait_s=20) as scheduler:
        answers = await read(scheduler, Clip("1"), Clip("bad"), Clip("2"))
    assert answers[0] is answers[2] is None
    assert isinstance(answers[1], ValueError)


async def test_a_failed_call_reaches_its_callers_and_the_next_one_runs() -> None:
    async with scheduling(Model(), wait_s=0.0) as scheduler:
        (answer,) = await read(scheduler, Clip("fatal", 40))
        assert isinstance(answer, RuntimeError)
        assert await read(scheduler, Clip("4")) == [None]


async def test_a_clip_without_windows_needs_no_call() -> None:
    model = Model()
    async with scheduling(model) as scheduler:
        assert await read(scheduler, Clip("empty", 0)) == [None]
    assert model.calls == []


# -- fairness ---------------------------------------------------------------------------------------------------------


async def test_a_short_clip_does_not_wait_for_a_long_one() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        long = await busy_with(scheduler, model, Clip("long", 10 * module.CLIP_WINDOWS))
        short = asyncio.create_task(read(scheduler, Clip("short", 2)))
        await asyncio.sleep(0.01)
        model.may_run.set()
        await short
        assert not long.done()
        await long
    half = module.CLIP_WINDOWS // 2
    assert model.calls[0] == ["long"] * module.CLIP_WINDOWS
    assert sorted(model.calls[1]) == [*["long"] * half, *["short"] * 2]


async def test_sessions_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    over = asyncio.Event()
    async with scheduling(Model(takes_s=0.001)) as scheduler:
        sessions = [Session(str(n), scheduler, over.is_set) for n in range(5)]
        for session in sessions:
            scheduler.live.wants_turn(session)
            scheduler.live.wants_turn(session)  # stands in the queue once
        async with asyncio.timeout(20):
            while sum(session.turns for session in sessions) < 50:  # noqa: ASYNC110 - turns have no event
                await asyncio.sleep(0.001)
        over.set()
        turns = [session.turns for session in sessions]
    assert max(turns) - min(turns) <= 2


# -- live before clips ------------------------------------------------------------------------------------------------


async def test_a_session_waits_for_no_more_than_the_call_that_runs() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        long = await busy_with(scheduler, model, Clip("long", 40))
        session = Session("live", scheduler)
        scheduler.live.wants_turn(session)
        model.may_run.set()
        await long
    assert session.delivered == [None]
    beside = module.CLIP_WINDOWS_BESIDE_LIVE
    assert model.calls[:3] == [["long"] * module.CLIP_WINDOWS, ["live"], ["long"] * beside]
    assert all(len(call) <= beside for call in model.calls[2:])  # in case the session comes again


async def test_sessions_that_keep_the_model_busy_do_not_starve_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLIPS_AT_LEAST_S", 0.05)
    over = asyncio.Event()
    model = Model(takes_s=0.005)
    async with scheduling(model, wait_s=0.0) as scheduler:
        sessions = [Session("live", scheduler, over.is_set) for _ in range(3)]
        for session in sessions:
            scheduler.live.wants_turn(session)
        await read(scheduler, Clip("clip", 3 * module.CLIP_WINDOWS_BESIDE_LIVE))
        over.set()
    order = ["clip" if "clip" in call else "live" for call in model.calls]
    assert order.count("clip") == 3
    first, last = order.index("clip"), len(order) - 1 - order[::-1].index("clip")
    assert order[first + 1 : last].count("live") >= 2  # and sessions go on in between


async def test_clips_that_still_wait_for_others_do_not_hold_up_sessions() -> None:
    """BATCH_WAIT_MS may be longer than clips wait for their share of a busy model."""
    model = Model()
    async with scheduling(model, wait_s=20) as scheduler:
        waiting = asyncio.create_task(read(scheduler, Clip("clip")))
        await asyncio.sleep(module.CLIPS_AT_LEAST_S + 0.1)
        session = Session("live", scheduler)
        scheduler.live.wants_turn(session)
        async with asyncio.timeout(10):
            while not session.delivered:  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert model.calls == [["live"]]


async def test_a_failed_call_is_the_outcome_of_its_sessions() -> None:
    async with scheduling(Model()) as scheduler:
        session = Session("fatal", scheduler)
        scheduler.live.wants_turn(session)
        async with asyncio.timeout(10):
            while not session.delivered:  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.01)
    assert isinstance(session.delivered[0], RuntimeError)


# -- leaving the queue ------------------------------------------------------------------------------------------------


async def test_a_caller_that_is_cancelled_while_waiting_costs_no_work() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        first = await busy_with(scheduler, model, Clip("1"))
        gone = asyncio.create_task(read(scheduler, Clip("2")))
        stays = asyncio.create_task(read(scheduler, Clip("3")))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert scheduler.clips.waiting == 1
        model.may_run.set()
        await asyncio.gather(first, stays)
    assert model.calls == [["1"], ["3"]]


async def test_the_rest_of_a_cancelled_clip_is_not_read() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        gone = await busy_with(scheduler, model, Clip("long", 100 * module.CLIP_WINDOWS))
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        model.may_run.set()
        await read(scheduler, Clip("next"))
    assert model.calls == [["long"] * module.CLIP_WINDOWS, ["next"]]


async def test_a_session_that_is_forgotten_has_no_turn() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        first = await busy_with(scheduler, model, Clip("1"))
        session = Session("live", scheduler)
        scheduler.live.wants_turn(session)
        scheduler.live.forget(session)
        model.may_run.set()
        await first
        await read(scheduler, Clip("2"))
    assert model.calls == [["1"], ["2"]]


async def test_the_queue_is_bounded() -> None:
    model = Model()
    async with scheduling(model, max_clips=2, wait_s=0.0) as scheduler:
        first = await busy_with(scheduler, model, Clip("1"))
        second = asyncio.create_task(read(scheduler, Clip("2")))
        await asyncio.sleep(0.01)
        (refused,) = await read(scheduler, Clip("3"))
        assert isinstance(refused, Busy)
        model.may_run.set()
        await asyncio.gather(first, second)
        assert await read(scheduler, Clip("4")) == [None]


async def test_closing_cancels_what_waits_and_what_is_being_read() -> None:
    model = Model()
    async with scheduling(model, wait_s=0.0) as scheduler:
        first = await busy_with(scheduler, model, Clip("1", 1000))
        second = asyncio.create_task(read(scheduler, Clip("2")))
        await asyncio.sleep(0.01)
        await scheduler.close()
        for task in (first, second):
            (outcome,) = await task
            assert isinstance(outcome, asyncio.CancelledError)
        (late,) = await read(scheduler, Clip("3"))
        assert isinstance(late, asyncio.CancelledError)

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from app.services.recognition.batching import MicroBatcher


class Doubler:
    """Doubles numbers; remembers its calls; odd wishes: 13 fails alone, 666 fails the whole call."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.may_run = threading.Event()
        self.may_run.set()
        self.called = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int | BaseException]:
        self.calls.append(list(items))
        self.called.set()
        assert self.may_run.wait(10)
        if 666 in items:
            raise RuntimeError("all fail")
        return [ValueError("unlucky") if item == 13 else 2 * item for item in items]


@asynccontextmanager
async def batching(run: Doubler, **options: float) -> AsyncIterator[MicroBatcher[int, int]]:
    with ThreadPoolExecutor(1) as executor:
        batcher: MicroBatcher[int, int] = MicroBatcher(run, executor, **options)  # type: ignore[arg-type]
        batcher.start()
        try:
            yield batcher
        finally:
            run.may_run.set()
            await batcher.close()


async def test_concurrent_items_share_one_call_and_keep_their_order() -> None:
    run = Doubler()
    async with batching(run, max_batch=8, wait_s=0.2) as batcher:
        assert await asyncio.gather(*(batcher.submit(n) for n in range(5))) == [0, 2, 4, 6, 8]
    assert run.calls == [[0, 1, 2, 3, 4]]


async def test_no_call_is_larger_than_the_limit() -> None:
    run = Doubler()
    async with batching(run, max_batch=3, wait_s=0.01) as batcher:
        await asyncio.gather(*(batcher.submit(n) for n in range(10)))
    assert max(map(len, run.calls)) == 3
    assert sorted(item for call in run.calls for item in call) == list(range(10))


async def test_what_waits_while_the_model_works_goes_together_next() -> None:
    run = Doubler()
    run.may_run.clear()
    async with batching(run, max_batch=8, wait_s=0.0) as batcher:
        first = asyncio.create_task(batcher.submit(1))
        await asyncio.to_thread(run.called.wait, 10)
        others = [asyncio.create_task(batcher.submit(n)) for n in (2, 3, 4)]
        await asyncio.sleep(0.01)
        run.may_run.set()
        assert await asyncio.gather(first, *others) == [2, 4, 6, 8]
    assert run.calls == [[1], [2, 3, 4]]


async def test_one_bad_item_fails_alone() -> None:
    async with batching(Doubler(), wait_s=0.05) as batcher:
        answers = await asyncio.gather(*(batcher.submit(n) for n in (1, 13, 2)), return_exceptions=True)
    assert answers[0] == 2
    assert isinstance(answers[1], ValueError)
    assert answers[2] == 4


async def test_a_failed_call_reaches_its_callers_and_the_batcher_goes_on() -> None:
    async with batching(Doubler(), wait_s=0.0) as batcher:
        with pytest.raises(RuntimeError, match="all fail"):
            await batcher.submit(666)
        assert await batcher.submit(4) == 8


async def test_who_is_cancelled_while_waiting_costs_no_work() -> None:
    run = Doubler()
    run.may_run.clear()
    async with batching(run, wait_s=0.0) as batcher:
        first = asyncio.create_task(batcher.submit(1))
        await asyncio.to_thread(run.called.wait, 10)
        gone = asyncio.create_task(batcher.submit(2))
        stays = asyncio.create_task(batcher.submit(3))
        await asyncio.sleep(0)
        gone.cancel()
        run.may_run.set()
        assert await asyncio.gather(first, stays) == [2, 6]
    assert run.calls == [[1], [3]]


async def test_closing_cancels_who_waits() -> None:
    run = Doubler()
    run.may_run.clear()
    async with batching(run, wait_s=0.0) as batcher:
        waiting = [asyncio.create_task(batcher.submit(n)) for n in (1, 2)]
        await asyncio.to_thread(run.called.wait, 10)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


async def test_nothing_is_taken_before_the_start() -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(RuntimeError, match="start"):
        await MicroBatcher(Doubler(), executor).submit(1)

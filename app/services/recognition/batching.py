"""Micro-batching: requests that come at the same moment share one call of the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Group = TypeVar("Group")


def in_groups(
    items: Sequence[Item], group_of: Callable[[Item], Group], read: Callable[[Group, list[Item]], Sequence[Answer]]
) -> list[Answer]:
    """The answers of `read` in the order of `items`; it is called once for each group, with all its items."""
    places: dict[Group, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(group_of(item), []).append(place)
    answers: dict[int, Answer] = {}
    for group, own in places.items():
        answers |= zip(own, read(group, [items[place] for place in own]), strict=True)
    return [answers[place] for place in range(len(items))]


class MicroBatcher(Generic[Item, Answer]):
    """Collects items until `max_batch` are there or `wait_s` seconds have passed, then runs them in one call.

    run: called in `executor` with 1..max_batch items, returns as many answers in the same order; an answer that is an
        exception is raised to that item's caller alone. An exception that `run` raises goes to every caller.
    One call runs at a time, so the batches grow by themselves while the model is busy.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Item]], Sequence[Answer | BaseException]],
        executor: Executor,
        max_batch: int = 8,
        wait_s: float = 0.01,
    ) -> None:
        self._run = run
        self._executor = executor
        self._max_batch = max_batch
        self._wait_s = wait_s
        self._waiting: asyncio.Queue[tuple[Item, asyncio.Future[Answer]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._serve(), name="micro-batcher")

    async def submit(self, item: Item) -> Answer:
        """The answer for one item. A caller that is cancelled while waiting costs the model nothing."""
        if self._task is None or self._task.done():
            raise RuntimeError("the micro-batcher is not running; start() it first")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((item, answer))
        return await answer

    @property
    def waiting(self) -> int:
        """Items that no call has taken yet."""
        return self._waiting.qsize()

    async def close(self) -> None:
        """Stop serving; whoever still waits is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        while not self._waiting.empty():
            self._waiting.get_nowait()[1].cancel()

    async def _collect(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        batch = [await self._waiting.get()]
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_s
        try:
            while len(batch) < self._max_batch:
                if self._waiting.empty() and (left := deadline - loop.time()) > 0:
                    async with asyncio.timeout(left):
                        batch.append(await self._waiting.get())
                elif self._waiting.empty():
                    break
                else:
                    batch.append(self._waiting.get_nowait())
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        return [(item, answer) for item, answer in batch if not answer.done()]

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = await self._collect()
            if not batch:
                continue
            try:
                answers = await loop.run_in_executor(self._executor, self._run, [item for item, _ in batch])
                if len(answers) != len(batch):
                    raise RuntimeError(f"{len(batch)} items went in and {len(answers)} answers came out")
            except asyncio.CancelledError:
                for _, waiting in batch:
                    waiting.cancel()
                raise
            except Exception as problem:  # noqa: BLE001 - whatever it is, it belongs to the callers, and the loop goes on
                answers = [problem] * len(batch)
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if waiting.done():
                    continue
                if isinstance(answer, BaseException):
                    waiting.set_exception(answer)
                else:
                    waiting.set_result(answer)

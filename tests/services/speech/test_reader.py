"""Turns at the one transcriber."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.services.speech.live.reader import Reading, SpeechReader
from app.speech.engines import EngineFailed, Samples, Transcript

pytestmark = pytest.mark.asyncio


class Engine:
    """Waits for a permit before each reading."""

    def __init__(self) -> None:
        self.permits = threading.Semaphore(0)

    def draft(self, samples: Samples, language: str | None) -> Transcript:
        assert self.permits.acquire(timeout=60)
        if language == "xx":
            raise EngineFailed("bad")
        return Transcript("en", None, (), 1.0)


class Client:
    def __init__(self, name: str, order: list[str], urgent: bool = False, language: str = "en") -> None:
        self.name, self.order, self.urgent, self.language = name, order, urgent, language
        self.outcomes: list[Any] = []
        self.done = asyncio.Event()

    def take_work(self) -> Reading | None:
        self.order.append(self.name)
        return Reading(np.zeros(10, np.float32), self.language, 0)

    def on_result(self, reading: Reading, outcome: Transcript | Exception) -> None:
        self.outcomes.append(outcome)
        self.done.set()


async def test_turns_are_fair_and_ends_of_sentences_go_first() -> None:
    engine, order = Engine(), list[str]()
    reader = SpeechReader(SimpleNamespace(transcriber=lambda: engine))  # type: ignore[arg-type]
    first, second, third = Client("a", order), Client("b", order), Client("c", order, urgent=True)
    reader.wants_turn(first)
    while order != ["a"]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)  # is being read
    for client in (second, first, third, second, third):
        reader.wants_turn(client)
    engine.permits.release(10)
    async with asyncio.timeout(60):
        await asyncio.gather(*(client.done.wait() for client in (first, second, third)))
        while len(order) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert order == ["a", "c", "b", "a"]  # each waits once, however often it asks
    await reader.close()


async def test_one_that_fails_is_told_and_the_others_go_on() -> None:
    engine, order = Engine(), list[str]()
    engine.permits.release(10)
    reader = SpeechReader(SimpleNamespace(transcriber=lambda: engine))  # type: ignore[arg-type]
    bad, gone, good = Client("bad", order, language="xx"), Client("gone", order), Client("good", order)
    for client in (bad, gone, good):
        reader.wants_turn(client)
    reader.forget(gone)
    async with asyncio.timeout(60):
        await asyncio.gather(bad.done.wait(), good.done.wait())
    assert isinstance(bad.outcomes[0], EngineFailed)
    assert isinstance(good.outcomes[0], Transcript)
    assert order == ["bad", "good"]
    await reader.close()

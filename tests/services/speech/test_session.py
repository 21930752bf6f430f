"""One session of live speech: what becomes final when, with readings that are made up."""

from __future__ import annotations

import asyncio
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.core.errors import SpeechFailed
from app.services.conversation.translation import PatientTranslator
from app.services.speech.live.commands import Sound, SpeechStart
from app.services.speech.live.session import MAX_WAITING_S, SpeechSession
from app.speech.engines import SAMPLE_RATE, EngineFailed, Passage, Transcript, Word
from app.speech.openai_server import OpenAITranslator, Server
from tests.support.openai_server import fake_openai

pytestmark = pytest.mark.asyncio


class Reader:
    """Notes who asks for a turn."""

    def __init__(self) -> None:
        self.asked = 0

    def wants_turn(self, client: object) -> None:
        self.asked += 1

    def forget(self, client: object) -> None:
        pass


def session() -> SpeechSession:
    service = SimpleNamespace(synthesise=print)
    return SpeechSession(SpeechStart(language="en"), Reader(), service, None)  # type: ignore[arg-type]


def loud(seconds: float) -> Sound:
    noise = np.random.default_rng(0).normal(0, 6000, int(seconds * SAMPLE_RATE))
    return Sound(noise.astype("<i2").tobytes())


def silent(seconds: float) -> Sound:
    return Sound(bytes(2 * int(seconds * SAMPLE_RATE)))


def said(*words: str, each_s: float = 0.4) -> Transcript:
    row = tuple(Word(word, n * each_s, (n + 1) * each_s) for n, word in enumerate(words))
    return Transcript("en", None, (Passage(" ".join(words), 0, len(row) * each_s, row),), len(row) * each_s)


async def events(one: SpeechSession) -> list[Any]:
    await one._outgoing.sent()
    found = []
    while one.outbox.waiting:
        found.append(await one.outbox.next())
    return found


async def read(one: SpeechSession, *words: str) -> None:
    reading = one.take_work()
    assert reading is not None
    one.on_result(reading, said(*words))


async def test_a_sentence_is_final_when_two_readings_agree_and_the_next_has_begun() -> None:
    one = session()
    await one.handle(loud(3.0))
    await read(one, "Hello", "there.", "How", "are", "you")
    assert [event.type for event in await events(one)] == ["partial"]
    await one.handle(loud(1.0))
    await read(one, "Hello", "there.", "How", "are", "you", "to")
    found = await events(one)
    assert [(event.type, event.sentence, event.segment) for event in found] == [
        ("final", "Hello there.", 0),
        ("partial", "How are you to", 1),
    ]
    assert found[0].reason == "sentence"
    assert all(word.final for word in found[0].words)
    assert found[1].start_ms == pytest.approx(800, abs=20)  # times count from the beginning of the stream
    left = one.take_work()
    assert left is not None
    assert len(left.samples) / SAMPLE_RATE == pytest.approx(3.2, abs=0.05)  # what is final is not read again
    await one.close()


@pytest.mark.parametrize(
    "second", [("Hello", "there", "how", "are", "you", "to"), ("Hello", "you.", "How", "are", "we")]
)
async def test_it_is_not_where_they_do_not_agree(second: tuple[str, ...]) -> None:
    one = session()
    await one.handle(loud(3.0))
    await read(one, "Hello", "there.", "How", "are", "you")
    await one.handle(loud(1.0))
    await read(one, *second)
    assert {event.type for event in await events(one)} == {"partial"}
    await one.close()


async def test_a_reading_that_has_all_speech_is_final_at_the_end_of_the_pause_without_another() -> None:
    one = session()
    await one.handle(loud(2.0))
    await one.handle(silent(0.25))
    await read(one, "Hello", "there.")
    asked = one._reader.asked  # type: ignore[attr-defined]
    for _ in range(4):
        await one.handle(silent(0.1))
    found = await events(one)
    assert [(event.type, event.sentence) for event in found] == [("final", "Hello there.")]
    assert (found[0].reason, one._reader.asked) == ("endpoint", asked)  # type: ignore[attr-defined]
    assert one.take_work() is None
    await one.close()


async def test_a_killed_translation_server_is_a_warning_until_it_is_back() -> None:
    async def sentence(one: SpeechSession, text: str) -> Any:
        await one.handle(loud(1.0))
        one.flush()
        await read(one, *text.split())
        found.extend(await events(one))
        return next(event for event in reversed(found) if event.type == "final")

    found: list[Any] = []
    with fake_openai() as server:
        port = server.server_address[1]
        engine = OpenAITranslator(Server(server.url, None, "m"))

        async def translate(text: str, source: str, target: str) -> str:
            try:
                return await asyncio.to_thread(engine.translate, text, source, target)
            except EngineFailed as problem:
                raise SpeechFailed(str(problem)) from problem

        patient = PatientTranslator(translate, lambda: True, wait_s=20)
        service = SimpleNamespace(synthesise=print)
        start = SpeechStart(language="en", interim=False)
        one = SpeechSession(start, Reader(), service, patient)  # type: ignore[arg-type]
        assert (await sentence(one, "First one.")).text.es == "Necesito ir al médico."
    lost = await sentence(one, "Second one.")
    assert (lost.sentence, lost.text.es) == ("Second one.", None)
    with fake_openai(port):
        async with asyncio.timeout(60):
            for number in count():
                if (await sentence(one, f"Number {number}.")).text.es:
                    break
                await asyncio.sleep(0.3)
    assert [event.code for event in found if event.type == "warning"] == ["no_translation"]
    await one.close()


async def test_what_waits_is_bounded() -> None:
    one = session()
    for _ in range(40):
        await one.handle(loud(1.0))
    reading = one.take_work()
    assert reading is not None
    assert len(reading.samples) <= MAX_WAITING_S * SAMPLE_RATE
    assert one.usage().dropped_s == pytest.approx(40 - MAX_WAITING_S, abs=1)
    await one.close()


async def test_a_failed_reading_is_a_warning_and_the_session_goes_on() -> None:
    one = session()
    await one.handle(loud(1.0))
    reading = one.take_work()
    assert reading is not None
    one.on_result(reading, RuntimeError("bad"))
    await one.handle(loud(1.0))
    await read(one, "Hello", "again.")
    one.flush()
    await read(one, "Hello", "again.")
    found = await events(one)
    assert {"speech_failed"} == {event.code for event in found if event.type == "warning"}
    assert [event.sentence for event in found if event.type == "final"] == ["Hello again."]
    async with asyncio.timeout(60):
        await one.flushed(10)
    await one.close()

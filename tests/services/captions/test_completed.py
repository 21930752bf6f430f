"""Captions with their Spanish: in order, finals never held up, a dead translator is a warning."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from app.core.errors import SpeechFailed
from app.services.captions.completed import CompletedCaptions
from app.services.captions.events import Final, Partial, SentenceText, StreamWeights
from app.services.conversation.translation import PatientTranslator

BASE = {
    "segment": 0, "revision": 1, "start_ms": 0, "end_ms": 1, "until_ms": 1, "gloss": (), "gloss_text": "",
    "confidence": 1.0, "attention": StreamWeights(rgb=0, pose=1), "vocabulary": "all", "lag_ms": 1.0,
}  # fmt: skip


def partial(sentence: str) -> Partial:
    return Partial(**BASE, sentence=sentence, text=SentenceText(en=sentence))  # type: ignore[arg-type]


def final(sentence: str) -> Final:
    return Final(**BASE, sentence=sentence, text=SentenceText(en=sentence), reason="flush")  # type: ignore[arg-type]


class Room:
    def __init__(self) -> None:
        self.sent: list[Partial | Final] = []
        self.warnings: list[str] = []
        self.delay_s: dict[str, float] = {}
        self.broken = False
        translator = PatientTranslator(self.translate, lambda: True, wait_s=0.3)
        translator_with_no_rest = translator
        translator_with_no_rest._now = lambda: time.monotonic() * 1000  # a rest of 2 s is over in 2 ms
        self.captions = CompletedCaptions(
            translator, None, self.sent.append, lambda code, _: self.warnings.append(code)
        )

    async def translate(self, text: str, source: str, target: str) -> str:
        await asyncio.sleep(self.delay_s.get(text, 0))
        if self.broken:
            raise SpeechFailed
        return text.upper()

    @property
    def spanish(self) -> list[str | None]:
        return [event.text.es for event in self.sent]


@pytest_asyncio.fixture
async def room() -> AsyncIterator[Room]:
    room = Room()
    yield room
    await room.captions.close()


@pytest.mark.asyncio
async def test_finals_keep_their_order_and_partials_the_newest(room: Room) -> None:
    for event in (partial("a"), partial("b"), final("c"), final("d"), partial("e"), partial("f")):
        room.captions.put(event)
    await room.captions.sent()
    assert [(event.type, event.text.es) for event in room.sent] == [
        ("final", "C"),
        ("final", "D"),
        ("partial", "F"),
    ]
    assert room.warnings == []


@pytest.mark.asyncio
async def test_a_final_does_not_wait_for_the_translation_of_a_partial(room: Room) -> None:
    room.delay_s["slow"] = 10
    room.captions.put(partial("slow"))
    await asyncio.sleep(0.05)
    room.captions.put(final("a"))
    await room.captions.sent()
    assert [event.type for event in room.sent] == ["final"]
    assert room.spanish == ["A"]


@pytest.mark.asyncio
async def test_a_dead_translator_is_one_warning_and_captions_go_on(room: Room) -> None:
    room.broken = True
    for sentence in ("a", "b", "c"):
        room.captions.put(final(sentence))
        await room.captions.sent()
    assert (room.spanish, room.warnings) == ([None] * 3, ["no_translation"])
    room.broken = False
    await asyncio.sleep(0.05)
    room.captions.put(final("d"))
    await room.captions.sent()
    assert room.spanish[-1] == "D"
    assert room.warnings == ["no_translation"]

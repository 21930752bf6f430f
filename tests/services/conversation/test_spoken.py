"""Sentences read aloud beside a session: in order, bounded, and never in the way of its captions."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator

import pytest

from app.core.errors import SpeechFailed
from app.services.conversation import spoken
from app.services.conversation.events import Audio, Warning
from app.services.conversation.outbox import Outbox
from app.services.conversation.spoken import FIRST_PIECE, SpokenSentences

pytestmark = pytest.mark.asyncio


class Session:
    def __init__(self) -> None:
        self.outbox, self.sound, self.warnings = Outbox(), list[Audio](), list[str]()
        self.may_speak = asyncio.Event()
        self.voice = SpokenSentences(self.speak, self.outbox, self.sound.append, self.warn)

    def warn(self, code: str, message: str) -> None:
        self.warnings.append(code)

    async def speak(self, content: str, language: str) -> AsyncGenerator[bytes, None]:
        await self.may_speak.wait()
        if content == "bad":
            raise SpeechFailed("The voice failed.")
        for _ in range(10):
            yield content.encode() * FIRST_PIECE


async def test_sentences_come_in_order_and_whole() -> None:
    session = Session()
    session.may_speak.set()
    session.voice.put(0, "a", "en")
    session.voice.put(1, "b", "es")
    await session.voice.spoken()
    assert [event.segment for event in session.sound if event.last] == [0, 1]
    said = b"".join(base64.b64decode(event.data) for event in session.sound)
    assert said == b"a" * 10 * FIRST_PIECE + b"b" * 10 * FIRST_PIECE
    assert len(base64.b64decode(session.sound[0].data)) == 2 * FIRST_PIECE  # a short one first
    assert session.warnings == []


async def test_a_voice_that_fails_or_is_late_is_a_warning() -> None:
    session = Session()
    for segment in range(spoken.MAX_SENTENCES + 3):
        session.voice.put(segment, "bad" if segment == 0 else "a", "en")
        await asyncio.sleep(0)  # the first one is being read
    assert session.warnings == ["voice_late"] * 2
    session.may_speak.set()
    await session.voice.spoken()
    assert session.warnings == ["voice_late"] * 2 + ["no_voice"]
    assert {event.segment for event in session.sound} == set(range(1, spoken.MAX_SENTENCES + 1))


async def test_a_client_that_does_not_read_gets_no_more_sound() -> None:
    session = Session()
    session.may_speak.set()
    for _ in range(spoken.MAX_WAITING + 1):
        session.outbox.put(Warning(code="x", message="y"))
    session.voice.put(0, "a", "en")
    await session.voice.spoken()
    assert (session.sound, session.warnings) == ([], ["voice_late"])


async def test_closing_stops_the_voice() -> None:
    session = Session()
    session.voice.put(0, "a", "en")
    await session.voice.close()
    assert session.sound == []

"""Translation beside live work: never late, given up when it fails, back by itself."""

from __future__ import annotations

import asyncio

import pytest

from app.core.errors import SpeechFailed
from app.services.conversation.translation import RETRY_S, PatientTranslator


class Engine:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.delay_s = 0.0
        self.broken = False

    async def __call__(self, text: str, source: str, target: str) -> str:
        self.asked.append(text)
        await asyncio.sleep(self.delay_s)
        if self.broken:
            raise SpeechFailed
        return f"<{text}>"


@pytest.mark.asyncio
async def test_what_was_translated_is_remembered() -> None:
    engine = Engine()
    translator = PatientTranslator(engine, lambda: True)
    assert await asyncio.gather(*(translator.translate("a", "en", "es") for _ in range(3))) == ["<a>"] * 3
    assert await translator.translate("a", "en", "es") == "<a>"
    assert await translator.translate("", "en", "es") == ""
    assert engine.asked == ["a"]


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["broken", "slow"])
async def test_a_dead_engine_is_not_waited_for_and_comes_back(how: str) -> None:
    engine, now = Engine(), 100.0
    translator = PatientTranslator(engine, lambda: True, wait_s=0.1, now=lambda: now)
    engine.broken, engine.delay_s = how == "broken", 5.0 if how == "slow" else 0.0
    assert await translator.translate("a", "en", "es") is None
    assert await translator.translate("b", "en", "es") is None
    assert engine.asked == ["a"]  # b is not even tried
    engine.broken, engine.delay_s = False, 0.0
    now += RETRY_S + 0.1
    assert await translator.translate("b", "en", "es") == "<b>"

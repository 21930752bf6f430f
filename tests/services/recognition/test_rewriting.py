"""Sentences that a chat model makes fluent, over real HTTP and event streams; and what becomes of bad answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from app.core.settings import Settings
from app.services.recognition.rewriting import SentenceRewriter
from app.services.speech.engines import Engines
from app.services.speech.service import SpeechService
from tests.support.media import npz
from tests.support.openai_server import FakeOpenAI, fake_openai
from tests.support.serving import client_of, running

pytestmark = pytest.mark.asyncio
GLOSSES, RULES = ["TOMORROW", "IX-1", "GO", "DOCTOR"], "I will go to the doctor tomorrow."


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def asking(server: FakeOpenAI, settings: Settings, wait_s: float) -> dict[str, object]:
    return {"speech_api_url": server.url, "rewrite_sentences": True, "rewriting_wait_s": wait_s}


async def test_a_fluent_sentence_takes_the_place_of_the_rules_if_it_adds_nothing(
    server: FakeOpenAI, tiny_settings: Settings
) -> None:
    settings = tiny_settings.model_copy(update=asking(server, tiny_settings, 20.0))
    service = SpeechService(settings, Engines.of(settings, "cpu"))
    rewriter = SentenceRewriter(service.fluent(settings.rewriting_wait_s))
    assert await rewriter.rewritten(GLOSSES, RULES) == "I will go to the doctor tomorrow!"
    server.adds = " with my horse"
    assert await rewriter.rewritten(GLOSSES, "I will go to the doctor.") is None
    assert await rewriter.rewritten([], "") is None
    assert len(server.requests) == 2
    await service.close()


@pytest.mark.parametrize("behaviour", ["garbage", "endless", "slow", "cut", "error"])
async def test_a_server_that_answers_badly_or_never_leaves_the_rules(
    server: FakeOpenAI, tiny_settings: Settings, behaviour: str
) -> None:
    settings = tiny_settings.model_copy(update=asking(server, tiny_settings, 0.3))
    service = SpeechService(settings, Engines.of(settings, "cpu"))
    rewriter = SentenceRewriter(service.fluent(0.3))
    server.behaviour = behaviour
    began = time.monotonic()
    assert await rewriter.rewritten(GLOSSES, RULES) is None
    assert time.monotonic() - began < 10
    server.behaviour = "well"
    async with asyncio.timeout(60):  # after a while it is asked again
        while await rewriter.rewritten(GLOSSES, RULES) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    await service.close()


async def test_clips_keep_both_texts(server: FakeOpenAI, tiny_settings: Settings) -> None:
    changes = asking(server, tiny_settings, 20.0)
    file = {"file": ("signs.npz", npz(40))}
    async with running(tiny_settings.model_copy(update=changes)) as app, client_of(app) as client:
        body = (await client.post("/api/inference/landmarks", files=file)).json()
        assert body["by_rules"]
        assert body["sentence"] == body["by_rules"].rstrip(".") + "!" == body["text"]["en"]

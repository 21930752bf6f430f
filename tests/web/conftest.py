"""A Chromium for the tests of the pages; they skip where there is none, unless REQUIRE_TOOLS is set.

They run in the loop of the session, because the browser does. Playwright's other interface keeps a loop running, beside
which no other asynchronous test can run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from app.speech.audio import PCM_RATE
from app.speech.voice.espeak import Espeak
from scripts.check_page import CHROMIUM, SAMPLE, as_camera
from tests.support.speech import spoken, wav
from tests.support.tools import tool


def as_microphone(text: str) -> bytes:
    """A file in which espeak-ng says this, then is silent for as long as a sentence takes to end."""
    samples = np.frombuffer(spoken(text, "en", "pcm"), "<i2")
    return wav(np.concatenate([np.zeros(PCM_RATE // 4, np.int16), samples, np.zeros(2 * PCM_RATE, np.int16)]), PCM_RATE)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """Playwright's browser. Its camera shows the prototype signer saying HELLO, again and again; into its microphone
    somebody asks a question, again and again."""
    path = tool("chromium")
    playwright = pytest.importorskip("playwright.async_api", reason="the pages need Playwright to be driven")
    camera = tmp_path_factory.mktemp("camera") / "hello.y4m"
    as_camera(SAMPLE, camera, still_s=1.5)
    async with playwright.async_playwright() as driver:
        arguments = [*CHROMIUM, f"--use-file-for-fake-video-capture={camera}"]
        if Espeak().availability().available:
            microphone = camera.with_name("question.wav")
            microphone.write_bytes(as_microphone("Hello, where is the train station?"))
            arguments.append(f"--use-file-for-fake-audio-capture={microphone}")
        browser = await driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        await browser.close()

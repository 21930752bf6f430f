"""A Chromium for the tests of the pages; they skip where there is none, unless REQUIRE_TOOLS is set.

They run in the loop of the session, because the browser does. Playwright's other interface keeps a loop running, beside
which no other asynchronous test can run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from scripts.check_page import CHROMIUM, SAMPLE, as_camera
from tests.support.tools import tool


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """Playwright's browser. Its camera shows the prototype signer saying HELLO, again and again."""
    path = tool("chromium")
    playwright = pytest.importorskip("playwright.async_api", reason="the pages need Playwright to be driven")
    camera = tmp_path_factory.mktemp("camera") / "hello.y4m"
    as_camera(SAMPLE, camera, still_s=1.5)
    async with playwright.async_playwright() as driver:
        arguments = [*CHROMIUM, f"--use-file-for-fake-video-capture={camera}"]
        browser = await driver.chromium.launch(executable_path=path, args=arguments)
        yield browser
        await browser.close()

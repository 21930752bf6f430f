"""A sentence is signed on the page: the figure moves, its signs are named, what has no sign is shown as text."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.core.settings import Settings
from scripts.check_page import PICTURES
from tests.support.serving import running, served
from tests.web.axe import findings

pytestmark = pytest.mark.asyncio(loop_scope="session")
SLOW_MS = 60_000
#: Keeps what the module tells, and how many pictures differ.
PLAYED = """async () => {
  const { Performer } = await import("/web/performer.js");
  const canvas = Object.assign(document.createElement("canvas"), { width: 160, height: 120 });
  const { ask } = await import("/web/session.js");
  const body = { text: "My mother wants a zebra." };
  const answer = await ask("/api/signs/perform", { method: "POST", body });
  const named = [], seen = new Set();
  const performer = new Performer(canvas, { speed: 2, onSign: (item) => { named.push(item?.text ?? null);
    seen.add(canvas.toDataURL().length + canvas.toDataURL().slice(-2000)); } });
  const stopped = performer.play(answer);
  performer.stop();
  const first = await stopped;
  named.length = 0;
  const well = await performer.play(answer);
  return [first, well, named, seen.size, performer.playing];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings) -> AsyncIterator[str]:
    async with running(tiny_settings) as app, served(app) as host:
        yield f"http://{host}"


async def opened(browser: Any, address: str, **options: Any) -> tuple[Any, list[str]]:
    context = await browser.new_context(base_url=address, bypass_csp=True, **options)
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    await page.add_init_script(PICTURES)
    await page.goto("/")
    return page, faults


async def test_a_sentence_is_signed_and_what_has_no_sign_is_said(browser: Any, address: str) -> None:
    page, faults = await opened(browser, address, reduced_motion="no-preference")
    assert await page.evaluate(PLAYED) == [False, True, ["MY", "MOTHER", "WANT", "zebra", None], 5, False]
    await page.click("[data-opens=signs-sheet]")
    await page.fill("#perform-text", "My mother wants a zebra.")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#perform-now:has-text('MOTHER')")
    await page.click("#perform-pause")
    assert await page.inner_text("#perform-pause") == "Play"
    assert "No sign for: zebra." in await page.inner_text("#perform-about")
    assert await page.inner_text("#perform-items [aria-current]") == "MOTHER"
    await page.click("#perform-next")
    await page.click("#perform-next")
    await page.wait_for_selector("#perform-now.no-sign:has-text('zebra')")
    assert await findings(page) == []
    await page.fill("#perform-text", "of the")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#perform-problem:has-text('nothing to show')")
    await page.context.close()
    assert faults == []


async def test_with_little_motion_there_are_stills(browser: Any, address: str) -> None:
    page, faults = await opened(browser, address, reduced_motion="reduce", locale="es-ES")
    await page.click("[data-opens=signs-sheet]")
    await page.fill("#perform-text", "yes please")
    pictures = """() => { window.pictures = new Set(); const draw = CanvasRenderingContext2D.prototype.fillRect;
      CanvasRenderingContext2D.prototype.fillRect = function (...at) {
        if (this.canvas.id === "perform-canvas") window.pictures.add(this.canvas.toDataURL());
        return draw.apply(this, at); }; }"""
    await page.evaluate(pictures)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#perform-pause:has-text('Pausa')")
    await page.wait_for_selector("#perform-pause:has-text('Reproducir')")
    assert await page.evaluate("window.pictures.size") <= 3  # the empty canvas, and one for each sign
    assert await page.get_attribute("#perform-canvas", "aria-label") == "Una figura dibujada signa YES PLEASE"
    await page.context.close()
    assert faults == []

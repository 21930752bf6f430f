"""The caption page in a browser: one screen of any size, captions over the picture, what goes wrong said where people
look, and everything by keyboard and for everybody."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.core.settings import Settings
from scripts.check_page import PICTURES, SAMPLE
from tests.support.serving import running, served
from tests.web.axe import findings

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
SIZES = [(1366, 657), (1280, 600), (390, 844), (844, 390)]
SLOW_MS = 60_000
#: Whether all of an element is in the window, and nothing lies over its middle.
SEEN = """(node) => {
  const box = node.getBoundingClientRect();
  const over = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
  return box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight + 0.5 && box.right <= innerWidth + 0.5
    && (node.contains(over) || over?.contains(node));
}"""
SCROLLS = "[document.documentElement.scrollWidth > innerWidth, document.documentElement.scrollHeight > innerHeight]"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings) -> AsyncIterator[str]:
    """The service with a real recogniser, for everybody, without a database."""
    changes = {"checkpoint": "asl-everyday", "checkpoint_dir": REPOSITORY / "checkpoints"}
    async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
        yield f"http://{host}"


@asynccontextmanager
async def opened(browser: Any, address: str, path: str = "/", script: str = "", **options: Any) -> AsyncIterator[Any]:
    """A page of a browser that nobody has used; scripts that fail and what the policy refuses fail the test.
    script: runs before those of the page."""
    context = await browser.new_context(base_url=address, accept_downloads=True, **options)
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: "Security Policy" in message.text and faults.append(message.text))
    page.on("request", lambda sent: sent.url.startswith((address, "blob:", "data:")) or faults.append(sent.url))
    await page.add_init_script(PICTURES)
    if script:
        await page.add_init_script(script)
    await page.goto(path)
    if path == "/":
        await page.wait_for_selector("[data-sample]")
    yield page
    await context.close()
    assert faults == []


async def seen(page: Any, *selectors: str) -> None:
    for selector in selectors:
        assert await page.eval_on_selector(selector, SEEN), selector


async def over(page: Any) -> None:
    """Captions have ended, with the last sentence in the list."""
    await page.wait_for_selector("ol#history li")
    await page.wait_for_selector("#state[data-state=off]", state="attached")


async def saved(page: Any, button: str) -> str:
    async with page.expect_download() as download:
        await page.click(button)
    return str((await (await download.value).path()).read_text())


@pytest.mark.parametrize("language", ["en-GB", "es-ES"])
async def test_the_first_screen_has_the_action_and_the_samples(browser: Any, address: str, language: str) -> None:
    async with opened(browser, address, locale=language) as page:
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            parts = ("#camera", "[data-sample='hello.mp4']", "#sample", ".dock-tools", "#said-title", ".hero-title")
            await seen(page, *parts)
            assert await page.evaluate(SCROLLS) == [False, False], (width, height)


@pytest.mark.parametrize("language", ["en-GB", "es-ES"])
async def test_nothing_of_the_controls_is_cut_off(browser: Any, address: str, language: str) -> None:
    """The menu, and what stands beside the buttons once a sample has ended."""
    async with opened(browser, address, locale=language) as page:
        await page.click("[data-sample='hello.mp4']")
        await page.wait_for_selector("#stage[data-state=ended]")
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await seen(page, "#camera", "#more-samples", "[data-opens=upload-sheet]", "[data-opens=about-sheet]")
            await page.click("#view-menu summary")
            await seen(page, "#full-screen", "#caption-link")
            await page.keyboard.press("Escape")


async def test_the_page_that_is_open_stays_in_the_header(browser: Any, address: str) -> None:
    for path in ("/developers", "/conversation"):
        async with opened(browser, address, path, viewport={"width": 390, "height": 844}) as page:
            await page.wait_for_selector(".bar .menu summary")
            await seen(page, ".bar nav [aria-current]", ".bar .menu summary")


async def test_what_lies_over_the_picture_can_be_put_away(browser: Any, address: str) -> None:
    async with opened(browser, address, viewport={"width": 390, "height": 844}) as page:
        await page.evaluate(
            """import('/web/stage.js').then(({ notice, setStage }) => {
              setStage('live');
              notice('Slow.', 'One', ['a', '/b']);
            })"""
        )
        assert " ".join((await page.inner_text("#live-warning span")).split()) == "Slow. One a"
        await page.focus("#live-warning button")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#live-warning", state="hidden")


SLOWLY = """const { play } = HTMLMediaElement.prototype;
HTMLMediaElement.prototype.play = function () { this.playbackRate = 0.5; return play.call(this); };"""
REFUSED = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NAME'))"


async def test_what_is_wrong_with_the_camera_is_said_beside_the_button(browser: Any, address: str) -> None:
    titles = {
        "NotAllowedError": "The camera is blocked",
        "NotReadableError": "The camera does not start",
        "NotFoundError": "No camera was found",
    }
    async with opened(browser, address, viewport={"width": 844, "height": 390}) as page:
        for name, title in titles.items():
            await page.evaluate(f"() => {{ {REFUSED.replace('NAME', name)} }}")
            await page.click("#camera")
            await page.wait_for_selector(f"#live-problem:has-text('{title}')")
            for width, height in SIZES:
                await page.set_viewport_size({"width": width, "height": height})
                await seen(page, "#live-problem", "#camera", "[data-sample='hello.mp4']", "#sample")
            assert await page.evaluate("document.activeElement.id") == "camera"


async def test_a_camera_that_stops_is_said_and_what_was_signed_stays(browser: Any, address: str) -> None:
    async with opened(browser, address) as page:
        await page.click("#camera")
        await page.wait_for_selector("#history li")
        unplugged = (
            "document.getElementById('live-video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
        )
        await page.evaluate(unplugged)
        await page.wait_for_selector("#live-problem:has-text('The camera has stopped')")
        await page.wait_for_selector("#state[data-state=off]", state="attached")
        await seen(page, "#live-problem", "#camera", "#history li")


async def test_problems_of_the_service_are_in_the_language_of_the_page(browser: Any, address: str) -> None:
    async with opened(browser, address, locale="es-ES") as page:
        await page.click("[data-opens=upload-sheet]")
        file = {"name": "a.mp4", "mimeType": "video/mp4", "buffer": b"%PDF-1.7 and nothing else"}
        await page.set_input_files("#file", file)
        await page.click("#send")
        await page.wait_for_selector("#problem:has-text('Este archivo no es un vídeo')")
        assert "Envíe un vídeo MP4" in await page.inner_text("#problem")


async def test_a_slow_device_is_said_in_the_picture(browser: Any, address: str) -> None:
    slow = """const { toBlob } = HTMLCanvasElement.prototype;
    HTMLCanvasElement.prototype.toBlob = function (...given) { setTimeout(() => toBlob.apply(this, given), 500); };"""
    async with opened(browser, address, script=slow, viewport={"width": 844, "height": 390}) as page:
        await page.click("#camera")
        await page.wait_for_selector("#live-warning:has-text('This device is slow')")
        await seen(page, "#live-warning", "#live-stop")


async def test_captions_lie_over_the_picture_and_are_listed_with_their_times(browser: Any, address: str) -> None:
    # Slow enough for a slow machine to show the sentence while it is open.
    async with opened(browser, address, script=SLOWLY, viewport={"width": 844, "height": 390}) as page:
        link = await page.evaluate("import('/web/followers.js').then((module) => module.followLink())")
        other = await page.context.new_page()
        await other.goto(link)
        await other.wait_for_selector("#waiting:has-text('Waiting for captions')")
        await page.bring_to_front()
        await page.click("[data-opens=settings-sheet]")
        await page.keyboard.press("Escape")
        await page.check("[data-setting=keep]")
        began = time.time() * 1000
        await page.click("[data-sample='hello.mp4']")
        await page.wait_for_selector("#live-sentence.open:has-text('Hello')")
        style = "getComputedStyle(document.querySelector('#live-sentence'))"
        assert await page.evaluate(f"[{style}.fontStyle, {style}.textDecorationLine]") == ["italic", "underline"]
        await seen(page, "#caption", "#live-stop")
        await over(page)
        assert await page.evaluate(f"[{style}.fontStyle, {style}.textDecorationLine]") == ["normal", "none"]
        assert await page.inner_text("#live-sentence") == "Hello."
        await seen(page, "#caption", "#camera")
        at = await page.evaluate("Date.parse(document.querySelector('#history time').dateTime)")
        assert began - 1000 <= at <= time.time() * 1000

        # Elsewhere it is the same, on a transparent ground.
        await other.wait_for_selector("#sentence:not(.open):text-is('Hello.')")
        assert await other.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"

        # A wrong line is corrected, is in the files, and is still there later.
        await page.click("#history button")
        await page.fill("#history input", "Good <morning>.")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#history .edited")
        await page.reload()
        await page.wait_for_selector("#history li:has-text('Good <morning>.')")
        for kind, written in (("srt", "Good <morning>."), ("vtt", "Good &lt;morning&gt;."), ("txt", "Good <morning>.")):
            await page.click("#keep summary")
            assert written in await saved(page, f"[data-download={kind}]")
            await page.keyboard.press("Escape")
        await page.uncheck("[data-setting=keep]")
        assert await page.evaluate("localStorage.getItem('glossline.transcript')") is None


async def test_small_windows_have_the_captions_too(browser: Any, address: str) -> None:
    async with opened(browser, address) as page:
        await page.click("#view-menu summary")
        await page.click("#small-window")
        small = "documentPictureInPicture.window?.document.querySelector('.sentence')?.textContent"
        await page.wait_for_function(f"() => {small} === ''")
        await page.click("[data-sample='hello.mp4']")
        await page.wait_for_function(f"() => {small} === 'Hello.'", polling=200)
        # Browsers without a window for pages have one for videos, or say what to do.
        await page.evaluate("() => { delete window.documentPictureInPicture; }")
        await page.click("#view-menu summary")
        await page.click("#small-window")
        await page.wait_for_function("() => document.pictureInPictureElement !== null", polling=200)
        await page.evaluate("Object.defineProperty(Document.prototype, 'pictureInPictureEnabled', { value: false })")
        await page.click("#view-menu summary")
        await page.click("#small-window")
        await page.wait_for_selector("#view-status:has-text('no small window')")
        async with page.context.expect_page() as window:
            await page.click("#caption-window")
        assert "/captions?session=" in (await window.value).url


async def test_times_of_a_session_are_those_of_the_day(browser: Any, address: str) -> None:
    """As the service leaves gaps out, and a session that could not be resumed begins at 0 again."""
    async with opened(browser, address) as page:
        found = await page.evaluate(
            """import('/web/stream_clock.js').then(({ StreamClock }) => {
              const clock = new StreamClock();
              const sent = [0, 80, 160, 9160, 9240].map((at) => clock.sent(5000 + at, 1e6 + at));
              return [sent, clock.wall(100), clock.wall(250), new StreamClock().wall(0)];
            })"""
        )
    assert found == [[0, 80, 160, 200, 280], 1e6 + 100, 1e6 + 9160 + 50, None]


async def test_a_video_gets_subtitles_and_its_signs_lead_to_their_moment(browser: Any, address: str) -> None:
    async with opened(browser, address) as page:
        await page.click("[data-opens=upload-sheet]")
        await page.set_input_files("#file", SAMPLE.parent / "thank-you_goodbye.mp4")
        await page.click("#send")
        await page.wait_for_selector("#result:not([hidden])")
        await page.wait_for_function("document.querySelector('#preview').textTracks[0]?.cues?.length > 0")
        cue = await page.evaluate("document.querySelector('#preview').textTracks[0].cues[0].text")
        assert cue.startswith("Thank you.")
        rows = page.locator("#signs tr")
        start = float((await rows.nth(1).locator("td").first.inner_text()).split()[0])
        await page.evaluate("document.querySelector('#preview').play = () => Promise.resolve()")
        await rows.nth(1).locator("button").first.click()
        assert abs(await page.evaluate("document.querySelector('#preview').currentTime") - start) < 0.05
        assert cue.split("\n")[0] in await saved(page, "[data-clip=srt]")
        assert (await saved(page, "[data-clip=vtt]")).startswith("WEBVTT")
        # How a sign is made, from here.
        await rows.nth(1).get_by_role("button", name=re.compile("How .* is made")).click()
        await page.wait_for_selector("#sign-name:has-text('GOODBYE')")


async def test_signs_are_found_and_drawn(browser: Any, address: str) -> None:
    async with opened(browser, address) as page:
        await page.click("[data-opens=signs-sheet]")
        await page.wait_for_selector("#vocabulary button[data-gloss]")
        all_of_them = await page.locator("#vocabulary li").count()
        await page.fill("#sign-wanted", "help")
        await page.wait_for_selector("#vocabulary-title:has-text('“HELP”')")
        assert 0 < await page.locator("#vocabulary li").count() < all_of_them
        colours = """(canvas) => new Set(new Uint32Array(
          canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
        await page.wait_for_function(
            f"() => ({colours})(document.querySelector('#vocabulary canvas[data-gloss=HELP]')) > 20", polling=200
        )
        await page.focus("[data-gloss=HELP]:not(canvas)")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#sign-name:text-is('HELP')")
        # One figure at a time: a sentence takes the place of the sign, and the other way round.
        await page.fill("#perform-text", "My mother wants water.")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#perform-stage")
        await page.wait_for_selector("#sign-stage", state="hidden")
        await page.fill("#sign-wanted", "mother want water")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#sign-name:text-is('MOTHER WANT WATER')")
        await page.wait_for_selector("#perform-stage", state="hidden")
        await page.fill("#sign-wanted", "zzz")
        await page.wait_for_selector("#vocabulary-title:has-text('no sign with')")


async def test_by_keyboard_alone(browser: Any, address: str) -> None:
    async with opened(browser, address, viewport={"width": 1280, "height": 600}) as page:

        async def focused() -> str:
            return str(await page.evaluate("document.activeElement.id || document.activeElement.dataset.opens || ''"))

        async def tab_to(wanted: str, most: int = 40) -> None:
            for _ in range(most):
                await page.keyboard.press("Tab")
                if await focused() == wanted:
                    return
            pytest.fail(f"{wanted} is not reached by the keyboard")

        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        await tab_to("camera", 1)
        for sheet in ("upload-sheet", "signs-sheet", "settings-sheet", "about-sheet"):
            await tab_to(sheet)
            await page.keyboard.press("Enter")
            assert await page.evaluate(f"document.querySelector('#{sheet}').contains(document.activeElement)")
            await page.keyboard.press("Escape")
            assert await focused() == sheet
        await page.focus("#view-menu summary")
        await page.keyboard.press("Enter")
        await tab_to("caption-link", 4)
        await page.keyboard.press("Escape")
        assert await page.evaluate("document.activeElement.tagName") == "SUMMARY"
        await page.focus("#camera")
        await page.keyboard.press("Enter")
        assert await focused() == "live-stop"
        await page.wait_for_selector("#state[data-state=live]")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#state[data-state=off]", state="attached")
        assert await focused() == "camera"


@pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light", "viewport": {"width": 1280, "height": 600}},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}},
        {"forced_colors": "active", "viewport": {"width": 844, "height": 390}, "reduced_motion": "reduce"},
    ],
    ids=["light", "dark phone", "forced colours"],
)
async def test_axe_finds_nothing(browser: Any, address: str, look: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    async with opened(browser, address, bypass_csp=True, **look) as page:
        found["idle"] = await findings(page)
        await page.evaluate(f"() => {{ {REFUSED.replace('NAME', 'NotFoundError')} }}")
        await page.click("#camera")
        await page.wait_for_selector("#live-problem:not([hidden])")
        found["no camera"] = await findings(page)
        for sheet in ("settings-sheet", "signs-sheet", "upload-sheet", "about-sheet"):
            await page.click(f"[data-opens={sheet}]")
            if sheet == "signs-sheet":
                await page.click("#vocabulary button[data-gloss]")
                await page.wait_for_selector("#sign-stage:not([hidden])")
            found[sheet] = await findings(page)
            await page.keyboard.press("Escape")
        if "reduced_motion" not in look:  # what is behind captions is the picture in all of them
            await page.click("[data-sample='hello.mp4']")
            await page.wait_for_selector("#live-gloss span")
            found["live"] = await findings(page)
            await over(page)
            found["ended"] = await findings(page)
            await page.click("#history button")
        await page.click("#view-menu summary")
        found["menu and correction"] = await findings(page)
        await page.goto(f"/captions?session={'0' * 64}&ground=dark")
        await page.wait_for_selector("#waiting:not(:empty)")
        found["captions alone"] = await findings(page)
        for path in ("/account", "/training"):
            await page.goto(path)
            await page.wait_for_load_state("networkidle")
            found[path] = await findings(page)
    assert {state: faults for state, faults in found.items() if faults} == {}


async def test_zoomed_to_200_percent_nothing_is_lost(browser: Any, address: str) -> None:
    for width, height in ((640, 300), (683, 328), (195, 422)):
        async with opened(browser, address, viewport={"width": width, "height": height}) as page:
            assert not (await page.evaluate(SCROLLS))[0], (width, height)
            for selector in ("#camera", "#sample", "[data-opens=about-sheet]", "[data-setting=keep]"):
                await page.locator(selector).scroll_into_view_if_needed()
                await seen(page, selector)


async def test_from_right_to_left(browser: Any, address: str) -> None:
    async with opened(browser, address, viewport={"width": 1280, "height": 600}) as page:
        await page.evaluate("document.documentElement.dir = 'rtl'")
        assert not (await page.evaluate(SCROLLS))[0]
        await seen(page, "#camera", "#sample", ".dock-tools")
        side, stage = [await page.locator(part).bounding_box() for part in (".side", ".stage")]
        assert side["x"] < stage["x"]


async def test_another_language_at_once(browser: Any, address: str) -> None:
    async with opened(browser, address) as page:
        await page.select_option("#language", "es")
        assert await page.inner_text("#camera") == "Usar la cámara"
        assert await page.evaluate("document.documentElement.lang") == "es"
        await page.reload()
        await page.wait_for_selector("[data-sample='hello.mp4']:text-is('Hola')")
        await page.select_option("#language", "en")
        assert await page.inner_text("#camera") == "Use the camera"

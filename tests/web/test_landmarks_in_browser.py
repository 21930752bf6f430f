"""The page finds landmarks on the device of the person; where it cannot, it says so, and sends pictures instead."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio

from app.api.browser_landmarks import missing
from app.core.settings import Settings
from scripts.check_page import CHROMIUM, SAMPLE, as_camera
from tests.support.serving import running, served
from tests.support.tools import tool

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW_MS = 60_000
JPEG, LANDMARKS = 1, 3
PICTURE = re.compile(rb"\xff\xd8\xff|RIFF|data:image")
#: Stands in for a device: answers after `ms`, with a body that holds still.
_DEVICE = """
const points = new Float32Array(225).fill(0.5);
onmessage = ({ data }) => {
  if (data.load) return postMessage({ loaded: { path: "gpu", renderer: "of the test" } });
  if (data.reset) return postMessage({ reset: true });
  setTimeout(() => %s, %d);
};
"""
_ANSWERS = "postMessage({ points: points.slice(), ms: 1 })"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings) -> AsyncIterator[str]:
    """The service with a real recogniser."""
    changes = {"checkpoint": "asl-everyday", "checkpoint_dir": REPOSITORY / "checkpoints"}
    async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
        yield f"http://{host}"


@dataclass
class Traffic:
    """What left the page."""

    foreign: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    """Of binary messages."""
    sizes: list[int] = field(default_factory=list)
    sockets: int = 0

    def watch(self, page: Any, address: str) -> None:
        page.on("request", lambda r: r.url.startswith((address, "data:")) or self.foreign.append(r.url))
        page.on("request", lambda r: self.bodies.append(r.post_data_buffer or b""))
        page.on("websocket", self._socket)

    def _socket(self, socket: Any) -> None:
        self.sockets += 1
        socket.on("framesent", self._sent)

    def _sent(self, message: bytes | str) -> None:
        if isinstance(message, bytes):
            self.kinds.append(message[1])
            self.sizes.append(len(message))
        else:
            self.bodies.append(message.encode())


Open = Callable[..., Any]
Route = Callable[[Any], Awaitable[None]]


@pytest.fixture
def opened(browser: Any, address: str) -> Open:
    """Opens the page: `where` landmarks are found, and routes, which stand in for parts of the service or device."""

    @asynccontextmanager
    async def opened(
        where: str, routes: dict[str, Callable[[Any], Awaitable[None]]] | None = None, browser: Any = browser
    ) -> AsyncIterator[Any]:
        context = await browser.new_context(base_url=address)
        page, traffic, faults = await context.new_page(), Traffic(), []
        page.set_default_timeout(SLOW_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        for url, act in (routes or {}).items():
            await page.route(url, act)
        kept = json.dumps(json.dumps({"where": where}))
        await page.add_init_script(f"localStorage.setItem('glossline.settings', {kept})")
        traffic.watch(page, address)
        await page.goto("/")
        yield page, traffic
        await context.close()
        assert faults == []
        assert traffic.foreign == []

    return opened


def device(ms: int, act: str = _ANSWERS) -> Route:
    async def fulfil(route: Any) -> None:
        await route.fulfill(content_type="text/javascript", body=_DEVICE % (act, ms))

    return fulfil


async def with_files(route: Any) -> None:
    await route.fulfill(json={"version": "1", "files": "/landmarks/1/", "missing": None})


async def until(page: Any, wanted: Callable[[], bool]) -> None:
    for _ in range(SLOW_MS // 100):
        if wanted():
            return
        await page.wait_for_timeout(100)
    raise AssertionError("it did not happen")


async def test_captions_are_made_of_landmarks_and_no_picture_leaves_the_device(opened: Open, address: str) -> None:
    """The prototype signer in front of the camera, read in the browser as the service reads the file."""
    if why := missing():
        pytest.skip(why)
    async with opened("device") as (page, traffic):
        await page.click("#camera")
        await page.wait_for_selector("#history li")
        assert "HELLO" in await page.inner_text("#live-gloss")
        assert "pictures stay here" in (await page.text_content("#sends") or "")
        assert set(traffic.kinds) == {LANDMARKS}
        assert set(traffic.sizes) == {16 + 75 * 3 * 2}
        for body in traffic.bodies:
            assert not PICTURE.search(body)
            assert len(body) < 2000
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        file = {"file": (SAMPLE.name, SAMPLE.read_bytes(), "video/mp4")}
        answer = (await client.post("/api/inference/predict", files=file)).json()
    assert answer["gloss"] == ["HELLO"]


async def test_a_real_clip_is_read_as_the_file_is(
    address: str, shared_folder: Path, tmp_path: Path, opened: Open
) -> None:
    """Somebody's HELLO in front of the camera, again and again; a machine that is busy may need more than one."""
    if why := missing():
        pytest.skip(why)
    clip = shared_folder / "samples/a_hello.mp4"
    if not clip.exists():
        pytest.skip(f"no real clip: {clip} is missing")
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        file = {"file": (clip.name, clip.read_bytes(), "video/mp4")}
        answer = (await client.post("/api/inference/predict", files=file)).json()
    assert answer["gloss"] == ["HELLO"]
    as_camera(clip, tmp_path / "camera.y4m", still_s=1.5)
    camera = [*CHROMIUM, f"--use-file-for-fake-video-capture={tmp_path / 'camera.y4m'}"]
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=tool("chromium"), args=camera)
        async with opened("device", browser=browser) as (page, traffic):
            page.set_default_timeout(2 * SLOW_MS)
            await page.click("#camera")
            await page.wait_for_selector(f"#history li:has-text('{answer['sentence']}')")
            assert set(traffic.kinds) == {LANDMARKS}
            assert set(traffic.sizes) == {16 + 75 * 3 * 2}
            for body in traffic.bodies:
                assert not PICTURE.search(body)
                assert len(body) < 2000
        await browser.close()


async def test_a_slow_device_sends_pictures_instead_and_says_so(opened: Open) -> None:
    async with opened("auto", {"**/landmarks": with_files, "**/landmark_worker.js": device(200)}) as (page, traffic):
        await page.click("#camera")
        await page.wait_for_selector("#live-warning:not([hidden])")
        said = await page.inner_text("#live-warning")
        assert re.search(r"reads only \d(\.\d)? pictures a second", said)
        assert "Pictures are sent to the service instead" in said
        await until(page, lambda: JPEG in traffic.kinds)
        assert traffic.kinds.index(JPEG) >= 8  # landmarks until then: 4 to warm up, 5 that are all too slow
        traffic.kinds.clear()
        await page.click("#live-stop")
        await page.wait_for_selector("#state[data-state=off]", state="attached")
        await page.click("#camera")  # it is not tried again
        await until(page, lambda: len(traffic.kinds) > 3)
        assert set(traffic.kinds) == {JPEG}


async def test_a_slow_device_that_was_chosen_goes_on_with_a_warning(opened: Open) -> None:
    routes = {"**/landmarks": with_files, "**/landmark_worker.js": device(200)}
    async with opened("device", routes) as (page, traffic):
        await page.click("#camera")
        await page.wait_for_selector("#live-warning:not([hidden])")
        assert "signs may be missed" in await page.inner_text("#live-warning")
        sent = len(traffic.kinds)
        await until(page, lambda: len(traffic.kinds) > sent + 3)
        assert set(traffic.kinds) == {LANDMARKS}


@pytest.mark.parametrize("where", ["auto", "device"])
async def test_without_the_files_the_page_says_what_is_missing(opened: Open, where: str) -> None:
    async def nothing(route: Any) -> None:
        await route.fulfill(json={"version": "1", "files": None, "missing": "Not installed. Run `make page`."})

    async with opened(where, {"**/landmarks": nothing}) as (page, traffic):
        await page.click("#camera")
        box = "#live-problem" if where == "device" else "#live-warning"
        await page.wait_for_selector(f"{box}:not([hidden])")
        assert "Run `make page`" in await page.inner_text(box)
        if where == "auto":
            await until(page, lambda: JPEG in traffic.kinds)
        else:
            assert traffic.sockets == 0
            assert await page.is_visible("#camera")


@pytest.mark.parametrize("where", ["auto", "device"])
async def test_webgl_that_is_taken_away(opened: Open, where: str) -> None:
    """Once, the device is tried again; the second time, pictures are sent, or captions stop."""
    lost = device(20, 'postMessage({ lost: "the browser took WebGL away" })')
    async with opened(where, {"**/landmarks": with_files, "**/landmark_worker.js": lost}) as (page, traffic):
        await page.click("#camera")
        box = "#live-problem" if where == "device" else "#live-warning"
        await page.wait_for_selector(f"{box}:not([hidden])")
        assert "took WebGL away" in await page.inner_text(box)
        if where == "auto":
            await until(page, lambda: JPEG in traffic.kinds)
        else:
            await page.wait_for_selector("#state[data-state=off]", state="attached")
            assert traffic.kinds == []


async def test_webassembly_that_a_policy_refuses(opened: Open) -> None:
    if why := missing():
        pytest.skip(why)

    async def strict(route: Any) -> None:
        answer = await route.fetch()
        policy = "default-src 'none'; script-src 'self'; connect-src 'self'"
        await route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": policy})

    async with opened("auto", {"**/landmark_worker.js": strict}) as (page, traffic):
        await page.click("#camera")
        await page.wait_for_selector("#live-warning:not([hidden])")
        assert "WebAssembly" in await page.inner_text("#live-warning")
        await until(page, lambda: JPEG in traffic.kinds)


async def test_numbers_are_sent_as_float16(opened: Open) -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.normal(0.5, 1, 500), 10.0 ** rng.uniform(-9, 6, 500), [0, -0.0, 1, -1, 65504, 65520]])
    async with opened("pictures") as (page, _):
        written = await page.evaluate(
            "async (all) => { const { half } = await import('/web/wire.js'); return all.map(half); }", numbers.tolist()
        )
    wanted = np.clip(numbers, -65504, 65504).astype(np.float32).astype(np.float16)
    read = np.array(written, np.uint16).view(np.float16)
    steps = np.abs(read.view(np.int16).astype(int) - wanted.view(np.int16).astype(int))
    assert steps.max() <= 1  # numbers halfway between two may go either way
    assert (steps == 0).mean() > 0.99

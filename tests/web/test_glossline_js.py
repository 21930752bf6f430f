"""The client for pages of others: a video or camera in, events out, also after a lost connection, and the element."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.core.settings import Settings
from scripts.compare_browser_landmarks import page_files
from tests.support.serving import running, served

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW_MS = 60_000
SCRIPT = """
async () => {
  const { Glossline } = await import("/glossline.js");
  const video = document.querySelector("video");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  await video.play();
  window.seen = [];
  window.captions = new Glossline(video, { where: "pictures", vocabulary: ["HELLO", "GOODBYE", "PLEASE"] });
  for (const name of ["ready", "final", "state", "sends", "done", "error"]) {
    captions.addEventListener(name, ({ detail }) => seen.push([name, detail]));
  }
  await captions.start();
}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Another origin, with files but no captions."""
    async with page_files() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings, elsewhere: str) -> AsyncIterator[str]:
    changes = {
        "checkpoint": "asl-everyday",
        "checkpoint_dir": REPOSITORY / "checkpoints",
        "cors_origins": [elsewhere],
    }
    async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
        yield f"http://{host}"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Any, address: str) -> AsyncIterator[Any]:
    context = await browser.new_context(base_url=address)
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    await context.close()
    assert faults == []


async def shown(page: Any, body: str) -> None:
    """A page with nothing else. It comes from the service: browsers keep pages without an address from this machine."""
    await page.goto("/samples")
    await page.evaluate("(body) => { document.body.innerHTML = body; }", body)


@pytest.mark.asyncio(loop_scope="session")
async def test_captions_go_on_after_a_lost_connection(page: Any) -> None:
    connections = []

    async def through(socket: Any) -> None:
        connections.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/api/ws/stream", through)
    await shown(page, "<video muted playsinline></video>")
    await page.evaluate(SCRIPT)
    await page.wait_for_function("seen.some(([name]) => name === 'final')")
    first = await page.evaluate("seen.find(([name]) => name === 'final')[1]")
    assert first["gloss_text"] == "HELLO"
    assert first["vocabulary"] == "custom"
    await connections[0].close(code=1001, reason="a proxy restarts")
    await page.wait_for_function("seen.filter(([name]) => name === 'ready').length === 2")
    sessions = await page.evaluate("seen.filter(([name]) => name === 'ready').map(([, { session_id }]) => session_id)")
    assert sessions[0] == sessions[1]
    await page.wait_for_function("seen.filter(([name]) => name === 'final').length === 2")
    await page.evaluate("captions.stop()")
    states = await page.evaluate("seen.filter(([name]) => name === 'state').map(([, state]) => state)")
    assert states == ["connecting", "live", "again", "live", "off"]
    assert await page.evaluate("seen.some(([name]) => name === 'done')")
    assert await page.evaluate("seen.filter(([name]) => name === 'error')") == []


@pytest.mark.asyncio(loop_scope="session")
async def test_a_start_that_is_refused_ends_with_the_reason(page: Any) -> None:
    await shown(page, "<video muted playsinline></video>")
    await page.evaluate(SCRIPT.replace('"GOODBYE"', '"NO-SUCH-SIGN"'))
    await page.wait_for_function("seen.at(-1)?.[1] === 'off'")
    [error] = await page.evaluate("seen.filter(([name]) => name === 'error').map(([, { code }]) => code)")
    assert error == "unknown_vocabulary"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_element_captions_the_camera(page: Any) -> None:
    await shown(page, '<glossline-captions vocabulary="all" where="pictures"></glossline-captions>')
    await page.add_script_tag(url="/glossline.js", type="module")
    await page.evaluate(
        "document.querySelector('glossline-captions')"
        ".addEventListener('final', ({ detail }) => { window.said = detail.sentence; })"
    )
    await page.get_by_role("button", name="Caption the camera").click()
    await page.wait_for_function("window.said")
    assert await page.evaluate("said") == "Hello."
    await page.get_by_role("button", name="Stop").click()
    await page.get_by_role("button", name="Caption the camera").wait_for()
    assert await page.evaluate("document.querySelector('glossline-captions').client") is None


@pytest.mark.asyncio(loop_scope="session")
async def test_a_page_of_another_origin_gets_captions_from_pictures(page: Any, address: str, elsewhere: str) -> None:
    """Browsers start no worker from another address, so landmarks cannot be found; that is said."""
    await page.goto(f"{elsewhere}/samples")
    await page.evaluate("document.body.innerHTML = '<video muted playsinline></video>'")
    there = SCRIPT.replace('"/glossline.js"', f'"{address}/glossline.js"').replace('where: "pictures"', 'where: "auto"')
    await page.evaluate(there)
    await page.wait_for_function("seen.some(([name]) => name === 'final')")
    said = await page.evaluate("seen.find(([name]) => name === 'sends')[1]")
    assert said["landmarks"] is False
    assert "Pictures are sent instead" in said["problem"]
    await page.evaluate("captions.stop()")


def test_the_npm_package_is_complete() -> None:
    """What `npm pack` takes: every module that the client loads, its types, and what npm shows people."""
    web = REPOSITORY / "app/web"
    package = json.loads((web / "package.json").read_text())
    files = set(package["files"])
    assert {name for name in files if not (web / name).is_file()} == set()
    for name in [name for name in files if name.endswith(".js")]:
        loads = re.findall(r'(?:from|URL\() ?"(?:\./)?([\w.]+\.js)"', (web / name).read_text())
        assert set(loads) <= files, name
    exported = package["exports"]["."]
    assert {exported["types"].removeprefix("./"), exported["default"].removeprefix("./")} <= files
    assert (web / "README.md").is_file()
    assert (web / "LICENSE").read_text() == (REPOSITORY / "LICENSE").read_text()


def test_the_types_fit_the_client(tmp_path: Path) -> None:
    """Where TypeScript is installed, which nothing here needs."""
    if (compiler := shutil.which("tsc")) is None:
        pytest.skip("TypeScript is not installed")
    use = tmp_path / "use.ts"
    types = REPOSITORY / "app/web/glossline.js"
    use.write_text(
        f"import {{ Glossline }} from {str(types)!r};\n"
        'const captions = new Glossline(document.querySelector("video")!, { where: "device" });\n'
        'captions.addEventListener("final", ({ detail }) => { const said: string = detail.sentence; });\n'
    )
    command = [compiler, "--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", str(use)]
    subprocess.run(command, check=True, timeout=120)

"""The page for developers: its code runs as it is shown, with and without a key, and everybody can use the page."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI

from app.core.settings import Settings
from app.signer import prototypes
from scripts.check_page import SAMPLE
from scripts.compare_browser_landmarks import page_files
from tests.conftest import fresh_database
from tests.support.accounts import guarded, key_of, person
from tests.support.serving import running, served
from tests.support.tools import tool
from tests.web.axe import findings

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW_S = 120
REAL = {"checkpoint": "asl-everyday", "checkpoint_dir": REPOSITORY / "checkpoints"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def elsewhere() -> AsyncIterator[str]:
    """Another origin, with files but no captions."""
    async with page_files() as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(tiny_settings: Settings, elsewhere: str) -> AsyncIterator[tuple[str, FastAPI]]:
    """Its address; nobody is asked for a key."""
    changes = {**REAL, "cors_origins": [elsewhere]}
    async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
        yield f"http://{host}", app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where somebody tries the code: with a clip.mp4."""
    shutil.copy(SAMPLE, tmp_path / "clip.mp4")
    return tmp_path


async def shown(browser: Any, address: str) -> dict[tuple[str, str], str]:
    """The code of the page, by what it does and its language, taken from it as a person would."""
    page = await browser.new_page()
    page.set_default_timeout(SLOW_S * 1000)
    await page.goto(f"{address}/developers")
    await page.wait_for_selector("#key-about:not(:has-text('…'))")
    found = {}
    for task in ("file", "live"):
        for language in ("javascript", "python", "curl"):
            await page.click(f"#task-{task}")
            await page.click(f"#language-{language}")
            found[task, language] = await page.text_content("#code")
    await page.close()
    return found


async def run(folder: Path, *command: str, key: str = "") -> str:
    """What it prints. It must succeed."""
    environment = {**os.environ, "GLOSSLINE_KEY": key}
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        environment.pop(proxy, None), environment.pop(proxy.upper(), None)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, env=environment, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(SLOW_S):
            out, problems = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, problems.decode()
    return out.decode()


async def runs(code: dict[tuple[str, str], str], folder: Path, key: str = "") -> None:
    """Python and curl say what the clip says."""
    tool("curl")
    for task in ("file", "live"):
        (folder / f"{task}.py").write_text(code[task, "python"])
    by_curl, of_file, live = await asyncio.gather(
        run(folder, "bash", "-e", "-c", code["file", "curl"], key=key),
        run(folder, sys.executable, "file.py", key=key),
        run(folder, sys.executable, "live.py", key=key),
    )
    assert json.loads(by_curl)["gloss"] == ["HELLO"]
    assert "Hello." in (folder / "clip.vtt").read_text()
    assert of_file == "Hello.\n"
    assert "Hello." in live.splitlines()


async def test_the_code_runs_as_it_is_shown(browser: Any, service: tuple[str, FastAPI], folder: Path) -> None:
    address, _ = service
    code = await shown(browser, address)
    assert not any("GLOSSLINE_KEY" in one or "ticket" in one for one in code.values())
    await runs(code, folder)


async def test_the_code_runs_with_a_key(browser: Any, tiny_settings: Settings, postgres: str, folder: Path) -> None:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, **REAL)) as app, served(app) as host:
            code = await shown(browser, f"http://{host}")
            await runs(code, folder, await key_of(app, await person(app), "captions"))


async def test_javascript_runs_in_a_page_of_another_origin(
    browser: Any, service: tuple[str, FastAPI], elsewhere: str
) -> None:
    address, _ = service
    code = await shown(browser, address)
    page = await browser.new_page()
    page.set_default_timeout(SLOW_S * 1000)
    await page.goto(f"{elsewhere}/samples")  # browsers keep pages without an address from this machine
    write = "(html) => { document.open(); document.write(html); document.close(); }"
    await page.evaluate(write, code["live", "javascript"])
    await page.wait_for_function("document.querySelector('p').textContent.includes('Hello.')")
    await page.goto(f"{elsewhere}/samples")
    await page.evaluate("document.body.innerHTML = '<input type=file>'")
    await page.set_input_files("input", SAMPLE)
    async with page.expect_console_message() as said:
        await page.evaluate(f"(async () => {{ {code['file', 'javascript']} }})()")
    assert (await said.value).text.startswith("Hello.")
    await page.close()


async def test_captions_are_read_along_with_curl(browser: Any, service: tuple[str, FastAPI], folder: Path) -> None:
    address, app = service
    code = (await shown(browser, address))["live", "curl"]
    secret = code.partition("secret=")[2].split()[0]
    tool("curl")
    reading = await asyncio.create_subprocess_exec("bash", "-c", code, cwd=folder, stdout=asyncio.subprocess.PIPE)
    assert reading.stdout is not None
    try:
        async with asyncio.timeout(SLOW_S):
            while not app.state.services.captions.followers.count:  # noqa: ASYNC110 - no event of its own
                await asyncio.sleep(0.01)
            socket = await websockets.connect(f"{address.replace('http', 'ws')}/api/ws/stream")
            await socket.send(json.dumps({"type": "start", "follow": secret}))
            for i, points in enumerate(prototypes.load().phrase(["HELLO"]).points):
                sent = {"type": "landmarks", "points": points.tolist(), "timestamp": 40 * i}
                await socket.send(json.dumps(sent))
            await socket.send('{"type": "stop"}')
            async for line in reading.stdout:
                if line.startswith(b"data: ") and json.loads(line[6:])["type"] == "final":
                    break
            await socket.close()
    finally:
        reading.kill()
        await reading.wait()


async def test_everybody_can_use_the_page(browser: Any, service: tuple[str, FastAPI]) -> None:
    """By keyboard, with a screen reader, on a phone, in Spanish."""
    address, _ = service
    context = await browser.new_context(
        base_url=address, viewport={"width": 390, "height": 844}, locale="es-ES", bypass_csp=True
    )
    page = await context.new_page()
    await page.goto("/developers")
    await page.wait_for_selector("#key-about:has-text('Aquí no hace falta')")
    assert await findings(page) == []
    await page.focus("#language-curl")
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate("document.activeElement.id") == "language-python"
    assert "import httpx" in await page.inner_text("#code")
    await page.keyboard.press("Home")
    assert await page.get_attribute("#language-javascript", "aria-selected") == "true"
    await page.focus("#copy-code")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#copied:not(:empty)")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.click(".bar summary")  # the pages that have no place in the header of a phone
    assert await findings(page) == []
    await page.click(".bar .menu a[href='/account']")
    await page.wait_for_url("**/account")
    await page.click(".bar summary")
    assert await page.is_visible(".bar nav a[href='/teach']")
    await page.emulate_media(color_scheme="dark")
    assert await findings(page) == []
    await context.close()

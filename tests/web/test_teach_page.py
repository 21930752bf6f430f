"""Teaching in a browser: a sign is shown three times to the camera, then captioned live with the set."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr

from app.core.settings import Settings
from scripts.check_page import PICTURES
from tests.conftest import fresh_database
from tests.support.serving import running, served
from tests.web.axe import findings

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW_MS = 60_000


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("datasets")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings, postgres: str, datasets: Path) -> AsyncIterator[str]:
    """The service without accounts, with a real recogniser."""
    with fresh_database(postgres) as database:
        changes = {
            "checkpoint": "asl-everyday",
            "checkpoint_dir": REPOSITORY / "checkpoints",
            "database_url": SecretStr(database),
            "datasets_dir": datasets,
        }
        async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
            yield f"http://{host}"


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Any, address: str) -> AsyncIterator[Any]:
    context = await browser.new_context(base_url=address, locale="en-GB")
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    await page.add_init_script(PICTURES)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: "Security Policy" in message.text and faults.append(message.text))
    yield page
    await context.close()
    assert faults == []


async def test_a_sign_is_taught_and_captioned_live(page: Any, address: str) -> None:
    """As video: a machine without a graphics processor finds too little by itself."""
    await page.goto("/teach")
    await page.wait_for_selector("#of-this-machine:not([hidden])")
    await page.fill("#sign-called", "Auntie Ñ")
    if await page.is_visible("#sign-set"):
        await page.select_option("#sign-set", "")
    await page.fill("#set-name", "Family")
    await page.select_option("#set-language", "ssp")
    await page.click("#teach-start")
    await page.wait_for_selector("#seen[data-seen=good]")
    assert "deletes once it is read" in await page.inner_text("#teach-sends")
    # The camera is looped, so a recording may be cut off: said at once, and kept here. On a busy machine one may also
    # have no hands, and is made again.
    keep, again = page.locator("#take-keep"), page.locator("#take-actions:has(#take-keep[hidden]) #take-again:visible")
    for answer in (keep, again):
        await page.add_locator_handler(answer, lambda button: button.click())
    await page.wait_for_selector("#taught-use:visible")
    for answer in (keep, again):
        await page.remove_locator_handler(answer)
    assert re.search(r"Taught with 3 recordings", await page.inner_text("#taught-back"))
    async with httpx.AsyncClient(base_url=address) as client:
        [one] = [s for s in (await client.get("/api/signs/sets")).json()["sets"] if s["name"] == "Family"]
    assert (one["name"], one["sign_language"], one["signs"], one["recordings"]) == ("Family", "ssp", 1, 3)
    assert one["keep_landmarks"] is False

    await page.click("#taught-use")
    await page.wait_for_url("**/")
    await page.click("#camera")
    await page.wait_for_selector("#live-problem:has-text('Only the taught signs')")  # it has no prototypes
    await page.click("[data-opens=settings-sheet]")
    await page.check("#sets-alone")
    await page.click("#settings-sheet [data-closes]")
    async with page.expect_websocket() as opened:
        await page.click("#camera")
    socket = await opened.value
    sent = await socket.wait_for_event("framesent")
    assert json.loads(sent)["sign_sets"] == [one["id"]]
    await page.wait_for_selector("#history li")
    assert "Auntie ñ" in await page.inner_text("#history")
    await page.click("#live-stop")


#: Stands in for a device that finds somebody who raises both hands for a second, again and again; after `%d` ms.
DEVICE = """
const spread = (x, y, out, from, count) => {
  for (let i = 0; i < count; i += 1) {
    const [a, b] = [0.02 * Math.cos(i), 0.03 * Math.sin(i / 2)];
    out.set([x + a + (Math.random() - 0.5) / 500, y + b, 1], 3 * (from + i));
  }
};
const body = () => {
  const out = new Float32Array(225);
  const passed = performance.now() % 3000, up = passed < 1200;
  spread(0.5, 0.3, out, 0, 33);
  out.set([0.62, 0.4, 1, 0.38, 0.4, 1], 33);
  if (up) {
    spread(0.62, 0.35 + passed / 12000, out, 33, 21);
    spread(0.38, 0.35 + passed / 12000, out, 54, 21);
  }
  return out;
};
onmessage = ({ data }) => {
  if (data.load) return postMessage({ loaded: { path: "gpu", renderer: "of the test" } });
  if (data.reset) return postMessage({ reset: true });
  setTimeout(() => postMessage({ points: body(), ms: 1 }), %d);
};
"""


async def test_landmarks_are_taught_and_no_picture_leaves_the_device(
    browser: Any, address: str, datasets: Path
) -> None:
    """The camera stops in the middle of the first try. What is taught is then given for training, and taken back."""
    context = await browser.new_context(base_url=address, locale="en-GB", bypass_csp=True)
    page, bodies, sockets = await context.new_page(), [], []
    page.set_default_timeout(SLOW_MS)
    page.on("request", lambda request: bodies.append(request.post_data_buffer or b""))
    page.on("websocket", lambda socket: sockets.append(socket.url))
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    slow = False

    async def worker(route: Any) -> None:
        await route.fulfill(content_type="text/javascript", body=DEVICE.replace("%d", "400" if slow else "20"))

    async def files(route: Any) -> None:
        await route.fulfill(json={"version": "1", "files": "/landmarks/1/", "missing": None})

    await page.route("**/landmark_worker.js", worker)
    await page.route("**/landmarks", files)
    await page.goto("/teach")
    await page.wait_for_selector("#all:not([hidden])")
    await page.fill("#sign-called", "Oma")
    if await page.is_visible("#sign-set"):
        await page.select_option("#sign-set", "")
    await page.fill("#set-name", "On my device")
    await page.select_option("#set-language", "ase")
    await page.check("#set-landmarks")
    await page.click("summary:has-text('What is sent')")
    await page.select_option("#teach-where", "device")
    await page.click("#teach-start")
    await page.wait_for_selector("#mirror[data-look=record]")
    await page.evaluate("document.getElementById('teach-video').srcObject.getTracks().forEach((track) => track.stop())")
    await page.wait_for_selector("#teach-problem:has-text('The camera has stopped')")
    names = "fetch('/api/signs/sets').then((a) => a.json()).then(({ sets }) => sets.map((set) => set.name))"
    assert "On my device" not in await page.evaluate(names)

    await page.click("#teach-start")
    await page.wait_for_selector("#teach-sends[data-landmarks=true]")
    assert "pictures stay on this device" in await page.inner_text("#teach-sends")
    await page.add_locator_handler(page.locator("#take-keep"), lambda keep: keep.click())
    answers, counting = 0, asyncio.Event()

    async def answer(route: Any) -> None:
        """The first is slow, the second says that the recording is too short."""
        nonlocal answers
        answers += 1
        if answers == 1:
            await counting.wait()
        if answers == 2:
            refused = {"code": "recording_refused", "reason": "too_short", "message": "", "title": ""}
            await route.fulfill(status=422, json=refused, content_type="application/problem+json")
        else:
            await route.continue_()

    await page.route(re.compile("/recordings"), answer)
    await page.wait_for_selector("#dots li:nth-child(1).checking")
    await page.wait_for_selector("#mirror[data-look=count]")
    assert await page.get_attribute("#dots [aria-current]", "class") == "now"
    assert (await page.inner_text("#dots")).split() == ["1", "checking", "2", "3"]
    counting.set()
    await page.wait_for_selector("#dots li:nth-child(1).good")
    await page.wait_for_selector("#take-again:visible")
    assert "Recording 2: That was too short." in await page.inner_text("#teach-say")
    assert await page.inner_text("#takes-live") == "Recording 2: problem"
    assert await findings(page) == []
    await page.click("#take-again")
    await page.wait_for_selector("#taught-use:visible")
    assert answers == 4
    assert "Taught with 3 recordings" in await page.inner_text("#taught-back")
    taught = [json.loads(body) for body in bodies if body.startswith(b'{"width"')]
    assert len(taught) >= 3
    assert all(len(clip["points"]) == len(clip["times"]) > 10 for clip in taught)
    for body in bodies:  # JPEG, WebP, WebM, MP4
        assert not re.search(rb"\xff\xd8\xff|RIFF|\x1a\x45\xdf\xa3|ftyp|data:image", body)
    assert sockets == []

    await page.click("#set-list button:has-text('Give these recordings')")
    await page.wait_for_selector("#consent-text:has-text('Never pictures')")
    assert await findings(page) == []
    await page.click("#consent button[value=no]")
    assert not (datasets / "own-ase").exists()
    await page.click("#set-list button:has-text('Give these recordings')")
    await page.fill("#consent-name", "Ann")
    await page.click("#consent-yes")
    await page.wait_for_selector("#sets-status:has-text('3 recordings were given')")
    assert len(list((datasets / "own-ase" / "recordings").iterdir())) == 3
    await page.click("#set-list button:has-text('Take them back')")
    await page.wait_for_selector("#sets-status:has-text('out of the corpus')")
    assert not (datasets / "own-ase").exists()

    slow = True
    await page.reload()
    await page.fill("#sign-called", "Opa")
    await page.click("summary:has-text('What is sent')")
    await page.select_option("#teach-where", "auto")
    await page.click("#teach-start")
    await page.wait_for_selector("#teach-sends[data-landmarks=false]")
    assert "as video" in await page.inner_text("#teach-sends")
    await page.click("#take-stop")
    await context.close()
    assert faults == []


#: Runs takes.js with recordings that are answered when the test says so. What happened, in order.
TAKES = """async (plan) => {
  const { takeAll } = await import("/web/takes.js");
  const log = [], stop = new AbortController(), answers = [...plan.answers];
  let made = 0, free;
  const freed = new Promise((done) => { free = done; });
  const soon = () => new Promise((done) => { setTimeout(done, 5); });
  const act = {
    signal: stop.signal, show: (states) => { act.states = states.join(" "); }, taken: async () => {}, waiting: () => {
      log.push("waiting");
      free();
    },
    async record(n, putOff) {
      for (let i = 0; i < 20; i += 1) {
        if (putOff()) return null;
        await soon();
      }
      log.push(`record ${n}`);
      if (log.length === plan.stopAt) {
        stop.abort();
        throw new Error("stopped");
      }
      return (made += 1);
    },
    async learn(recording) {
      const answer = answers.shift();
      await (answer === "slow" ? freed : soon());
      if (answer === "fails") throw new Error("fails");
      log.push(`${recording} ${answer}`);
      if (!["bad", "odd"].includes(answer)) return null;
      const again = () => { log.push("forgotten"); };
      return { why: answer, keep: answer === "odd" ? "Keep it" : null, again };
    },
    async ask(n, why, keep) {
      log.push(`asks of ${n}: ${why}`);
      return keep && plan.keeps ? "keep" : "again";
    },
  };
  try {
    await takeAll(3, act);
  } catch (problem) {
    log.push(problem.message);
  }
  return [log, act.states];
}"""


async def test_recordings_are_taken_while_those_before_are_checked(page: Any) -> None:
    await page.goto("/teach")

    async def taken(*answers: str, **plan: Any) -> tuple[list[str], str]:
        log, states = await page.evaluate(TAKES, {"answers": answers, **plan})
        return log, states

    log, states = await taken("slow", "good", "good")
    assert [line for line in log if line != "waiting"] == [
        *("record 1", "record 2", "record 3"),
        *("1 slow", "2 good", "3 good"),
    ]
    assert states == "good good good"
    # A bad one is asked about before the next begins, and is made again.
    log, states = await taken("bad", "good", "good", "good")
    assert log[:5] == ["record 1", "1 bad", "asks of 1: bad", "forgotten", "record 1"]
    assert states == "good good good"
    log, states = await taken("good", "odd", "good", keeps=True)
    assert log[3:6] == ["2 odd", "asks of 2: odd", "record 3"]
    assert states == "good good good"
    # After a failure none is begun, and none of those that wait is sent; what is being checked is known first.
    assert await taken("fails") == (["record 1", "fails"], "checking open open")
    assert (await taken("slow", stopAt=2))[0] == ["record 1", "record 2", "stopped"]


#: Says what the browser allows: whether the camera was allowed before, and whether data is to be saved.
ALLOWED = """
navigator.permissions.query = async () => ({ state: %r });
Object.defineProperty(navigator, "connection", { value: { saveData: %s } });
"""


@pytest.mark.parametrize(
    ("camera", "saving", "pointed", "loaded"),
    [
        ("prompt", "false", False, False),
        ("prompt", "false", True, True),
        ("granted", "false", False, True),
        ("granted", "true", True, False),
    ],
)
async def test_what_finds_hands_is_loaded_before_it_is_needed(
    browser: Any, address: str, camera: str, saving: str, pointed: bool, loaded: bool
) -> None:
    context = await browser.new_context(base_url=address)
    page, asked = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    await page.add_init_script(ALLOWED % (camera, saving))

    async def none(route: Any) -> None:
        asked.append(route.request.url)
        await route.fulfill(json={"version": None, "files": None, "missing": "of the test"})

    await page.route("**/landmarks", none)
    await page.goto("/teach")
    await page.wait_for_selector("#all:not([hidden])")
    if pointed:
        await page.hover("#teach-start")
    # Asked for in an idle moment, so before one that comes after it.
    await page.evaluate("new Promise((done) => { requestIdleCallback(() => fetch('/samples').then(done)); })")
    assert bool(asked) is loaded
    await context.close()


async def test_without_a_database_the_page_says_what_to_set(browser: Any, tiny_settings: Settings) -> None:
    async with running(tiny_settings) as app, served(app) as host:
        context = await browser.new_context(base_url=f"http://{host}", locale="en-GB")
        page = await context.new_page()
        page.set_default_timeout(SLOW_MS)
        await page.goto("/teach")
        await page.wait_for_selector("#nowhere:not([hidden])")
        said = await page.inner_text("#nowhere")
        assert "DATABASE_URL=postgresql://" in said
        assert "TRAINING=true" in said
        assert await page.is_hidden("#all")
        await context.close()


async def test_nothing_keeps_people_from_it(browser: Any, address: str) -> None:
    """Without a camera that may be used, in dark, on a phone."""
    context = await browser.new_context(
        base_url=address, color_scheme="dark", viewport={"width": 390, "height": 844}, locale="es-ES", bypass_csp=True
    )
    page = await context.new_page()
    await page.add_init_script(PICTURES)
    await page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotFoundError'))"
    )
    await page.goto("/teach")
    await page.wait_for_selector("#all:not([hidden])")
    assert await findings(page) == []
    await page.focus("#sign-called")
    await page.keyboard.type("Abuela")
    count = "fetch('/api/signs/sets').then((a) => a.json()).then(({ sets }) => sets.map((set) => [set.id, set.signs]))"
    before = await page.evaluate(count)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#teach-problem:has-text('No se ha encontrado ninguna cámara')")
    assert await findings(page) == []
    assert await page.evaluate("document.activeElement.id") == "sign-called"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Nothing is left of a sign that was not recorded.
    assert await page.evaluate(count) == before
    await context.close()


async def test_a_name_that_exists_and_a_set_that_goes(page: Any, address: str) -> None:
    async with httpx.AsyncClient(base_url=address) as client:
        made = (await client.post("/api/signs/sets", json={"name": "Work", "sign_language": "bfi"})).json()
        for name in ("Stamp", "<img src=x onerror=alert(1)>"):
            answer = await client.post(f"/api/signs/sets/{made['id']}/signs", json={"name": name})
            assert answer.status_code == 201
        await page.goto("/teach")
        await page.select_option("#sign-set", made["id"])
        await page.fill("#sign-called", "stamp")
        await page.click("#teach-start")
        await page.wait_for_selector("#teach-problem:has-text('already')")
        await page.click("#set-list li:has-text('Work') summary")
        await page.wait_for_selector("#set-list strong:has-text('<IMG-SRC=X')")  # a text like any other
        assert await page.locator("#set-list img").count() == 0
        await page.click("button[aria-label='Rename the set Work']")
        await page.fill("#rename-to", "Office")
        await page.click("#rename-yes")
        async with page.expect_download() as saved:
            await page.click("li:has-text('Office') >> button:has-text('Save as a file')")
        file = Path(await (await saved.value).path()).read_bytes()  # noqa: ASYNC240 - a few bytes
        await page.click("button[aria-label='Delete the set Office']")
        await page.click("#sure-yes")
        await page.wait_for_selector("#set-list:not(:has-text('Office'))", state="attached")
        await page.set_input_files("#import", {"name": "x.json", "mimeType": "application/json", "buffer": file})
        await page.wait_for_selector("#set-list:has-text('Office')")
        await page.set_input_files("#import", {"name": "x.json", "mimeType": "application/json", "buffer": file[:-9]})
        await page.wait_for_selector("#sets > .problem:not([hidden])")
        again = next(s for s in (await client.get("/api/signs/sets")).json()["sets"] if s["name"] == "Office")
        token = (await client.post(f"/api/signs/sets/{again['id']}/share")).json()["token"]
        await page.goto(f"/teach#shared={token}")
        await page.reload()
        await page.wait_for_selector("#shared-about:has-text('STAMP')")

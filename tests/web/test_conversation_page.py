"""Two people talk in a browser: speech is written in both languages and signed, signs are captioned and spoken; the
button is held, tapped or used by keyboard; and what is missing is said where people look."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.core.settings import Settings
from scripts.check_page import PICTURES
from tests.support.serving import running, served
from tests.support.speech import need_all
from tests.web.axe import findings
from tests.web.test_caption_page import SCROLLS, SIZES, seen

pytestmark = pytest.mark.asyncio(loop_scope="session")

REPOSITORY = Path(__file__).resolve().parents[2]
SLOW_MS = 120_000
HELLO = {"en": "Hello, where is the bathroom?", "es": "Hola, ¿dónde está el baño?"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(tiny_settings: Settings) -> AsyncIterator[str]:
    """The service with a real recogniser and the speech engines of this machine, for everybody."""
    changes = {
        "checkpoint": "asl-everyday",
        "checkpoint_dir": REPOSITORY / "checkpoints",
        "speech_translator": "auto",
    }
    async with running(tiny_settings.model_copy(update=changes)) as app, served(app) as host:
        yield f"http://{host}"


@asynccontextmanager
async def opened(browser: Any, address: str, **options: Any) -> AsyncIterator[Any]:
    context = await browser.new_context(base_url=address, accept_downloads=True, **{"locale": "en-GB", **options})
    page, faults = await context.new_page(), []
    page.set_default_timeout(SLOW_MS)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: "Security Policy" in message.text and faults.append(message.text))
    page.on("request", lambda sent: sent.url.startswith((address, "blob:", "data:")) or faults.append(sent.url))
    await page.add_init_script(PICTURES)
    yield page
    await context.close()
    assert faults == []


class Line:
    """The service's side of live speech, as a test wants it. Given to `route_web_socket`."""

    def __init__(self) -> None:
        self.starts: list[dict[str, Any]] = []
        self.pieces = self.flushes = self.seq = 0
        self.has_voice = True
        self.socket: Any = None

    def __call__(self, socket: Any) -> None:
        self.socket = socket
        socket.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            assert len(message) % 2 == 0
            self.pieces += 1
            return
        content = json.loads(message)
        match content["type"]:
            case "start":
                self.starts.append(content)
                if content["voice"] and not self.has_voice:
                    self.send("error", code="plan_limit", message="The plan Free has no voice.", fatal=True)
                    self.closing = asyncio.ensure_future(self.socket.close(code=4402))
                else:
                    self.send("ready", session_id="one", resume_token="secret")
            case "flush":
                self.flushes += 1
            case "stop":
                self.send("done")

    def send(self, kind: str, **content: Any) -> None:
        self.seq += 1
        self.socket.send(json.dumps({"type": kind, "seq": self.seq, **content}))

    def say(self, kind: str, text: dict[str, str] = HELLO) -> None:
        times = {"segment": 0, "revision": 1, "start_ms": 0, "end_ms": 50, "lag_ms": 1.0}
        self.send(kind, **times, language="en", words=[], sentence=text["en"], text=text)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(SLOW_MS / 1000):
        while not true():  # noqa: ASYNC110 - the browser's messages come by callbacks
            await asyncio.sleep(0.02)


@asynccontextmanager
async def talking(browser: Any, address: str, **options: Any) -> AsyncIterator[tuple[Any, Line]]:
    """The page with engines, whatever this machine has, and a line that answers at once."""
    names = (("transcription", "whisper"), ("translation", "apertium"), ("voice", "espeak-ng"))
    engines = [
        {"job": job, "name": name, "chosen": True, "available": True, "detail": "", "remedy": ""} for job, name in names
    ]
    async with opened(browser, address, **options) as page:
        line = Line()
        await page.route_web_socket("**/api/ws/speech", line)
        await page.route("**/api/speech/engines", lambda route: route.fulfill(json={"engines": engines}))
        await page.goto("/conversation")
        await page.wait_for_selector("#speech-engines:text-is('whisper · apertium · espeak-ng')")
        yield page, line


async def test_a_deaf_and_a_hearing_person_talk(browser: Any, address: str) -> None:
    """All of it real: the microphone plays a spoken question, the sample signs a greeting."""
    need_all()
    async with opened(browser, address, viewport={"width": 1366, "height": 657}) as page:
        await page.goto("/conversation")
        await page.wait_for_selector("#speech-engines:not([hidden])")
        await page.focus("#talk")
        await page.keyboard.down(" ")
        await page.wait_for_selector("#history li[data-who=speech]")
        await page.keyboard.up(" ")
        said = await page.inner_text("#history li[data-who=speech] .line-words")
        assert re.search(r"hello|where|train|station", said, re.I), said
        other = await page.inner_text("#history li[data-who=speech] .other")
        assert re.search(r"hola|dónde|estación|tren", other, re.I), other
        assert float((await page.inner_text("#speech-lag")).split()[0]) >= 0
        await page.wait_for_selector("#signer:not([hidden]) #signing span")
        # What is signed is captioned in both languages and spoken.
        async with page.expect_websocket() as captions:
            await page.click("[data-sample='hello.mp4']")
        heard: list[dict[str, Any]] = []
        (await captions.value).on("framereceived", lambda frame: heard.append(json.loads(frame)))
        await page.wait_for_selector("#history li[data-who=signs]:has-text('Hola')")
        await until(lambda: any(event["type"] == "audio" for event in heard))
        assert await page.inner_text("#live-sentence") == "Hello."
        assert await page.inner_text("#live-other") == "Hola."
        await page.wait_for_selector("#voice-lag:not(:text-is('–'))", state="attached")
        who = await page.locator("#history li").evaluate_all("(all) => all.map((one) => one.dataset.who)")
        assert (who[0], who[-1]) == ("speech", "signs")
        async with page.expect_download() as download:
            await page.click("#keep summary")
            await page.click("[data-download=srt]")
        written = (await (await download.value).path()).read_text()
        assert "Spoken: " in written
        assert "Signed: Hello." in written


async def test_held_tapped_and_by_keyboard(browser: Any, address: str) -> None:
    async with talking(browser, address) as (page, line):
        # Held: what is said goes out while it is held, and the sentence ends when it is let go.
        await page.hover("#talk")
        await page.mouse.down()
        await until(lambda: line.pieces > 8)
        start = {"language": "en", "targets": ["en", "es"], "encoding": "pcm16", "rate": 16_000, "voice": None}
        assert start.items() <= line.starts[0].items()
        assert await page.get_attribute("#talk", "data-on") == "true"
        await page.mouse.up()
        await until(lambda: line.flushes == 1)
        await page.wait_for_selector("#speech-state[data-state=quiet]")
        before = line.pieces
        await page.wait_for_timeout(400)
        assert line.pieces == before  # the microphone runs on, but nothing is sent
        # Tapped by keyboard: open until it is pressed again. Both at once, however busy the machine is.
        await page.focus("#talk")
        await page.evaluate(
            """["keydown", "keyup"].forEach((type) => document.activeElement.dispatchEvent(
              new KeyboardEvent(type, { key: "Enter", bubbles: true, cancelable: true })))"""
        )
        await page.wait_for_selector("#open-microphone[aria-pressed=true]")
        await until(lambda: line.pieces > before + 8)
        await page.keyboard.press(" ")
        await until(lambda: line.flushes == 2)
        # As screen readers press a button.
        await page.evaluate("document.querySelector('#talk').click()")
        await page.wait_for_selector("#talk[data-on=open]")
        # A lost connection: it says so, goes on with the session, and nothing that was said meanwhile is missing.
        line.say("final")
        await page.wait_for_selector("#heard-sentence:text-is('Hello, where is the bathroom?')")
        seq = line.seq
        await line.socket.close(code=1001, reason="a proxy restarts")
        await until(lambda: len(line.starts) == 2)
        assert line.starts[1]["resume"] == {"session_id": "one", "token": "secret", "last_seq": seq}
        await page.wait_for_selector("#speech-state[data-state=live]")
        await page.click("#open-microphone")
        await until(lambda: line.flushes == 3)
        # In another language, or with a voice: a session of its own.
        await page.select_option("[data-setting=speaks]", "es")
        await page.check("[data-setting=speechAloud]")
        await page.click("#open-microphone")
        await until(lambda: len(line.starts) == 3)
        assert (line.starts[2]["language"], line.starts[2]["voice"]) == ("es", "en")
        assert "resume" not in line.starts[2]
        # A voice does not hear itself: while it is played, nothing is sent.
        await until(lambda: line.pieces > before)
        sound = "A" * (40 * 16_000)  # 30 s at 8 kHz
        line.send("audio", segment=0, language="en", rate=8_000, data=sound, last=True)
        await until(lambda: line.flushes == 4)
        held = line.pieces
        await page.wait_for_timeout(700)
        assert line.pieces == held
        await page.uncheck("[data-setting=speechAloud]")
        await until(lambda: line.pieces > held)


async def test_subtitles_are_large_and_show_what_may_change(browser: Any, address: str) -> None:
    async with talking(browser, address, viewport={"width": 1366, "height": 657}) as (page, line):
        await page.select_option("[data-setting=reads]", "es")
        await page.click("#open-microphone")
        await until(lambda: line.pieces > 0)
        line.say("partial")
        await page.wait_for_selector("#heard-sentence.open:has-text('Hola, ¿dónde está el baño')")
        style = "getComputedStyle(document.querySelector('#heard-sentence'))"
        assert await page.evaluate(f"[{style}.fontStyle, {style}.textDecorationLine]") == ["italic", "underline"]
        assert await page.get_attribute("#heard-sentence", "lang") == "es"
        line.say("final")
        await page.wait_for_selector("#heard-sentence:not(.open):text-is('Hola, ¿dónde está el baño?')")
        assert await page.inner_text("#heard-other") == HELLO["en"]
        assert await page.evaluate(f"[{style}.fontStyle, {style}.textDecorationLine]") == ["normal", "none"]
        assert await page.evaluate(f"parseFloat({style}.fontSize)") >= 40
        # The signer: words with a sign and without one, and that it is no interpreter.
        await page.wait_for_selector("#signing span:has-text('WHERE')")
        await seen(page, "#signer", "#heard-sentence", "#talk")
        assert "no interpreter" in await page.inner_text("#signer")
        await page.evaluate("document.querySelector('[data-setting=shown]').click()")
        await page.wait_for_selector("#signer", state="hidden")


async def test_a_plan_without_a_voice_has_subtitles_all_the_same(browser: Any, address: str) -> None:
    async with talking(browser, address) as (page, line):
        line.has_voice = False
        await page.check("[data-setting=speechAloud]")
        await page.click("#open-microphone")
        await page.wait_for_selector("#speech-warning:has-text('The plan Free has no voice.')")
        await until(lambda: line.pieces > 0)
        assert [start["voice"] for start in line.starts] == ["en", None]


REFUSED = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NAME'))"


async def test_what_is_wrong_with_the_microphone_is_said_in_the_pane(browser: Any, address: str) -> None:
    titles = {
        "NotAllowedError": "The microphone is blocked",
        "NotReadableError": "The microphone does not start",
        "NotFoundError": "No microphone was found",
    }
    kept = "const { getUserMedia } = navigator.mediaDevices;"
    async with talking(browser, address) as (page, line):
        await page.evaluate(f"() => {{ {kept} window.asIs = getUserMedia.bind(navigator.mediaDevices); }}")
        for name, title in titles.items():
            await page.evaluate(f"() => {{ {REFUSED.replace('NAME', name)} }}")
            await page.click("#open-microphone")
            await page.wait_for_selector(f"#speech-problem:has-text('{title}')")
            for width, height in SIZES:
                await page.set_viewport_size({"width": width, "height": height})
                await seen(page, "#speech-problem", "#talk", "#camera")
            assert await page.get_attribute("#open-microphone", "aria-pressed") == "false"
        # Unplugged while people talk.
        script = """async () => { navigator.mediaDevices.getUserMedia = async (wanted) => {
          window.stream = await asIs(wanted); return stream; }; }"""
        await page.evaluate(script)
        await page.click("#open-microphone")
        await until(lambda: line.pieces > 0)
        await page.evaluate("stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        await page.wait_for_selector("#speech-problem:has-text('The microphone is gone')")
        await seen(page, "#speech-problem", "#talk")


async def test_without_engines_it_says_what_to_install_and_signs_work(
    browser: Any, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.speech.transcription.whisper.PACKAGES", ("nothing-of-this-name",))
    async with opened(browser, address) as page:
        await page.goto("/conversation")
        await page.wait_for_selector("#no-speech:has-text('requirements-speech.txt')")
        assert await page.is_disabled("#talk")
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await seen(page, "#no-speech", "#camera")
        await page.click("[data-sample='hello.mp4']")
        await page.wait_for_selector("#live-sentence:has-text('Hello')")
        # Who hears types instead, and is read and signed for.
        await page.set_viewport_size({"width": 390, "height": 844})
        assert "Type below" in await page.inner_text("#no-speech")
        await page.fill("#typed", "Hello, where is the bathroom?")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#heard-sentence:text-is('Hello, where is the bathroom?')")
        await page.wait_for_selector("#signing span:has-text('WHERE')")
        await page.wait_for_selector("#history li[data-who=typed]", state="attached")
        await seen(page, "#signer", "#heard-sentence", "#typed", "#type-form button")


async def test_what_is_typed_is_a_caption_in_both_languages_and_is_signed(browser: Any, address: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []
    translations = {"es": "Hola, <b>¿dónde está el baño?</b>", "en": "My mother wants water."}

    async def translate(route: Any) -> None:
        body = route.request.post_data_json
        asked.append(("translate", body))
        if body["text"] == "Broken":
            problem = {"title": "x", "code": "speech_failed", "detail": "The engine failed."}
            return await route.fulfill(status=503, json=problem, content_type="application/problem+json")
        guessed = "es" if "madre" in body["text"] else "en"
        text = body["text"] if guessed == body["target"] else translations[body["target"]]
        return await route.fulfill(json={"text": text, "source": guessed, "target": body["target"]})

    async with talking(browser, address) as (page, line):
        await page.route("**/api/speech/translate", translate)
        page.on("request", lambda sent: "perform" in sent.url and asked.append(("perform", sent.post_data_json)))
        # By keyboard, at each size, and not sent twice or empty.
        await page.focus("#way")
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "typed"
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await seen(page, "#typed", "#type-form button", "#way", "#camera")
            assert await page.evaluate(SCROLLS) == [False, False], (width, height)
        await page.keyboard.press("Enter")
        await page.keyboard.type("  Hello,   where is the <i>bathroom</i>? ")
        await page.keyboard.press("Enter")
        words = "Hello, where is the <i>bathroom</i>?"
        await page.wait_for_selector("#heard-other:has-text('¿dónde está el baño?')")
        assert await page.text_content("#heard-sentence") == words  # as text, never as HTML
        assert await page.text_content("#heard-other") == translations["es"]
        assert await page.input_value("#typed") == ""
        assert await page.evaluate("document.activeElement.id") == "typed"
        await page.wait_for_selector("#signing span:has-text('WHERE')")
        assert asked[0] == ("translate", {"text": words, "target": "es", "source": "en"})
        assert ("perform", {"text": words, "language": "en"}) in asked
        assert await page.text_content("#history li[data-who=typed] .by") == "Typed"
        # Guessed: Spanish, on an English page.
        await page.select_option("[data-setting=speaks]", "")
        await page.fill("#typed", "Mi madre quiere agua.")
        await page.click("#type-form button")
        await page.wait_for_selector("#heard-other:text-is('Mi madre quiere agua.')")
        assert await page.text_content("#heard-sentence") == "My mother wants water."
        # A translator that fails: the sentence stands all the same, and the page says so until it is put away.
        await page.fill("#typed", "Broken")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("#speech-warning:has-text('The engine failed.')")
        assert await page.text_content("#heard-sentence") == "Broken"
        await page.click("#speech-warning button")
        await page.wait_for_selector("#speech-warning", state="hidden")
        assert line.starts == []  # no session of speech was opened for it
        # It stays the way to say something until the person wants to talk.
        await page.reload()
        await page.wait_for_selector("#speech[data-way=type]")
        await page.click("#way")
        assert await page.evaluate("document.activeElement.id") == "talk"


@pytest.mark.parametrize("language", ["en-GB", "es-ES"])
async def test_one_screen(browser: Any, address: str, language: str) -> None:
    async with talking(browser, address, locale=language) as (page, line):
        parts = ("#camera", "#talk", "#open-microphone", "[data-setting=reads]", "[data-setting=speechAloud]")
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await seen(page, *parts, ".bar [data-opens=settings-sheet]", ".hero-title", "[data-sample='hello.mp4']")
            assert await page.evaluate(SCROLLS) == [False, False], (width, height)
        await page.click("#open-microphone")
        await until(lambda: line.pieces > 0)
        line.say("final")
        await page.wait_for_selector("#signing span")
        for width, height in SIZES:
            await page.set_viewport_size({"width": width, "height": height})
            await seen(page, "#heard-sentence", "#signer-canvas", "#talk")
            assert await page.evaluate(SCROLLS) == [False, False], (width, height)


@pytest.mark.parametrize(
    "look",
    [
        {"color_scheme": "light", "viewport": {"width": 1366, "height": 657}},
        {"color_scheme": "dark", "viewport": {"width": 390, "height": 844}, "locale": "es-ES"},
        {"forced_colors": "active", "viewport": {"width": 844, "height": 390}, "reduced_motion": "reduce"},
    ],
    ids=["light", "dark phone", "forced colours"],
)
async def test_axe_finds_nothing(browser: Any, address: str, look: dict[str, Any]) -> None:
    found: dict[str, list[str]] = {}
    async with talking(browser, address, bypass_csp=True, **look) as (page, line):
        found["idle"] = await findings(page)
        await page.click("#way")
        await page.fill("#typed", "Hello")
        found["typing"] = await findings(page)
        await page.click("#way")
        await page.evaluate(
            f"() => {{ window.asIs = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            f" {REFUSED.replace('NAME', 'NotFoundError')} }}"
        )
        await page.click("#open-microphone")
        await page.wait_for_selector("#speech-problem:not([hidden])")
        await page.click("#camera")
        await page.wait_for_selector("#live-problem:not([hidden])")
        found["no camera, no microphone"] = await findings(page)
        await page.evaluate("() => { navigator.mediaDevices.getUserMedia = asIs; }")
        await page.click("#open-microphone")
        await until(lambda: line.pieces > 0)
        line.say("partial")
        await page.wait_for_selector("#heard-sentence:not(:empty)")
        found["partial"] = await findings(page)
        line.say("final")
        line.send("warning", code="no_translation", message="The translation does not answer.")
        await page.wait_for_selector("#signing span")
        await page.wait_for_selector("#speech-warning:not([hidden])")
        found["final, signed, with a warning"] = await findings(page)
        if not await page.is_visible("#side"):
            await page.click("#show-transcript")
        await page.wait_for_selector("#history li")
        found["transcript"] = await findings(page)
        if await page.is_visible("#hide-transcript"):
            await page.click("#hide-transcript")
        await page.click("[data-opens=settings-sheet]")
        found["settings"] = await findings(page)
    assert {state: faults for state, faults in found.items() if faults} == {}

"""The caption page of a running service in a real browser: live captions, a file, accessibility, no foreign host.

    python scripts/check_page.py --url http://localhost:8000 --clip sign.mp4 --axe axe.min.js --shots /tmp/shots

The clip plays as the browser's camera, with still seconds behind the sign so that the sentence ends; without one a
sample performance is captioned. Captions and the file are read with --vocabulary, and captions with another one for a
moment. --axe names axe-core's script and reports what it finds in light and dark: before anything runs, during live
captions, and with an answer on the page. Needs `pip install playwright` and a Chromium; not part of the tests. Ends
with 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "app/signer/samples/hello.mp4"
CAMERA_WIDTH, CAMERA_FPS = 640, 25
CHROMIUM = ["--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
SERIOUS = ("serious", "critical")
#: Without a GPU a browser is too slow to find landmarks itself, and what is looked at here does not depend on it.
PICTURES = """try {
  localStorage["glossline.settings"] ??= '{"where":"pictures"}';
} catch { /* a document without storage, such as an empty page */ }"""


def as_camera(clip: Path, to: Path, still_s: float) -> None:
    """The clip as the raw video that Chromium takes for a camera: played, then its last picture held."""
    with av.open(str(clip)) as source, to.open("wb") as out:
        stream = source.streams.video[0]
        height = round(CAMERA_WIDTH * stream.height / stream.width / 2) * 2
        out.write(f"YUV4MPEG2 W{CAMERA_WIDTH} H{height} F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        written, picture = 0, b""
        for frame in source.decode(stream):
            picture = frame.reformat(CAMERA_WIDTH, height, "yuv420p").to_ndarray().tobytes()
            while written <= (frame.time or 0.0) * CAMERA_FPS:
                out.write(b"FRAME\n" + picture)
                written += 1
        for _ in range(round(still_s * CAMERA_FPS)):
            out.write(b"FRAME\n" + picture)


class Check:
    """One page in one colour scheme; `faults` collects what is wrong."""

    def __init__(self, page: Any, name: str, url: str, axe: Path | None, shots: Path | None) -> None:
        self.page, self.name, self.axe, self.shots = page, name, axe, shots
        self.faults: list[str] = []
        self.vocabulary = ""
        host = urlsplit(url).netloc
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", lambda message: message.type == "error" and self.faults.append(f"console: {message.text}"))
        page.on("request", lambda r: urlsplit(r.url).netloc in (host, "") or self.faults.append(f"foreign: {r.url}"))
        page.goto(url)
        page.wait_for_selector("[data-sample]")

    def look(self, state: str) -> None:
        """A picture of this state and what axe says of it."""
        if self.shots is not None:
            self.page.screenshot(path=str(self.shots / f"page-{self.name}-{state}.png"))
        if self.axe is None:
            return
        self.page.evaluate(self.axe.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run().then((r) => r.violations)")
        serious = [v for v in found if v["impact"] in SERIOUS]
        print(f"{self.name}, {state}: axe finds {len(serious)} serious, {len(found) - len(serious)} lesser")
        for fault in found:
            print(f"  {fault['impact']} {fault['id']}: {', '.join(str(n['target'][0]) for n in fault['nodes'][:4])}")
        self.faults += [f"axe in {state}: {fault['id']}" for fault in serious]

    def text(self, where: str) -> str:
        return " ".join(self.page.inner_text(where).split())

    def live(self, camera: bool) -> None:
        if camera:
            self.page.click("#camera")
        else:
            self.page.click("[data-sample='hello.mp4']")
        self.is_announced()
        self.page.wait_for_selector("#live-gloss span", timeout=30_000)
        self.look("live")
        self.page.wait_for_selector("#history li", timeout=30_000)
        print(f"{self.name}: signs {self.text('#live-gloss')!r}, said {self.text('#history')!r}")
        print(f"  {' '.join((self.page.text_content('#facts') or '').split())}")
        self.look("said")
        if camera:  # in the middle of a session; a sample ends by itself
            before = self.vocabulary
            self.choose("all")
            self.is_announced()
            self.choose(before)
            self.is_announced()
        if self.page.is_visible("#live-stop"):
            self.page.click("#live-stop")
        self.page.wait_for_selector("#state[data-state=off]", state="attached", timeout=20_000)

    def choose(self, vocabulary: str) -> None:
        """Another vocabulary in the settings; the list of signs follows."""
        known = self.page.evaluate("fetch('/api/vocabularies').then((answer) => answer.json())")
        glosses = {one["name"]: one["glosses"] for one in known["vocabularies"]}
        if vocabulary not in glosses:
            self.faults.append(f"there is no vocabulary {vocabulary!r} to choose, but {', '.join(glosses)}")
            return
        with self.sheet("settings-sheet"):
            self.page.select_option("#set-vocabulary", vocabulary)
            self.look(f"settings-{vocabulary}")
        self.vocabulary = vocabulary
        said = f"{len(glosses[vocabulary])} sign"
        if said not in (self.page.text_content("#vocabulary-title") or "").replace(",", ""):
            self.faults.append(f"the list of signs does not follow the vocabulary {vocabulary}")

    @contextmanager
    def sheet(self, name: str) -> Iterator[None]:
        self.page.click(f"[data-opens={name}]")
        yield
        self.page.click(f"#{name} [data-closes]")

    def is_announced(self) -> None:
        """The live captions say that they read with the chosen vocabulary."""
        try:
            self.page.wait_for_selector(f"#live-status:has-text('({self.vocabulary})')", state="attached", timeout=5000)
        except Exception:  # noqa: BLE001 - playwright's own, which is imported only to run
            said = self.page.text_content("#live-status")
            self.faults.append(f"{self.vocabulary} was chosen, but live captions say {said!r}")

    def upload(self, clip: Path) -> None:
        with self.sheet("upload-sheet"):
            self._upload(clip)

    def _upload(self, clip: Path) -> None:
        self.page.set_input_files("#file", str(clip))
        with self.page.expect_response("**/api/inference/predict*", timeout=60_000) as answer:
            self.page.click("#send")
        if (used := answer.value.json().get("vocabulary")) != self.vocabulary:
            self.faults.append(f"{self.vocabulary} was chosen, but the file was read with {used}")
        self.page.wait_for_selector("#result:not([hidden])", timeout=60_000)
        print(f"{self.name}: the file says {self.text('#sentence')!r}; {self.text('#status')}")
        self.look("answer")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--clip", type=Path, help="a video of a sign, played as the camera and then sent as a file")
    parser.add_argument("--vocabulary", default="core", help="chosen in the settings before anything is read")
    parser.add_argument("--still", type=float, default=3.0, help="seconds the last picture of the clip is held")
    parser.add_argument("--axe", type=Path, help="axe-core's axe.min.js")
    parser.add_argument("--shots", type=Path, help="folder for pictures of the page")
    parser.add_argument(
        "--chromium", default=shutil.which("chromium"), help="default: the one that comes with playwright"
    )
    options = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("This check drives a browser: pip install playwright, and have a Chromium.", file=sys.stderr)
        return 2
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = list(CHROMIUM)
        if options.clip is not None:
            camera = Path(folder) / "camera.y4m"
            as_camera(options.clip, camera, options.still)
            arguments.append(f"--use-file-for-fake-video-capture={camera}")
        browser = playwright.chromium.launch(executable_path=options.chromium, args=arguments)
        for scheme, width in (("light", 1280), ("dark", 1280), ("dark", 390)):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": width, "height": 900}, bypass_csp=options.axe is not None
            )
            context.add_init_script(PICTURES)
            check = Check(context.new_page(), f"{scheme}-{width}", options.url, options.axe, options.shots)
            check.look("idle")
            check.choose(options.vocabulary)
            check.live(camera=options.clip is not None)
            check.upload(options.clip or SAMPLE)
            faults += [f"{check.name}: {fault}" for fault in check.faults]
            context.close()
        browser.close()
    print("\n".join(faults) or "nothing is wrong")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

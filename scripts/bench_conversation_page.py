"""How late subtitles and voice are on the page /conversation of a running service, as its reader sees them.

    python scripts/bench_conversation_page.py --url http://localhost:8000 --sentences 12 [--shot page.png]

espeak-ng says the English sentences of tests/data/speech_sentences.tsv, one after the other with pauses, into the fake
microphone of a Chromium; the page has an open microphone, reads Spanish first and speaks the translation. Measured in
the browser: from the first sound of a sentence that was sent to its first partial, and from its last to the final
(which carries the translation) and to the first sound of the voice. --shot: instead, a screenshot of a conversation:
a sample of the prototype signer, then --say. Needs Playwright and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import numpy as np  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

from app.speech import audio  # noqa: E402
from app.speech.engines import SAMPLE_RATE  # noqa: E402
from scripts.bench_speech import pairs, said  # noqa: E402
from scripts.check_page import CHROMIUM, PICTURES  # noqa: E402

#: Seconds of silence behind a sentence: for its final, and for the voice that reads it, which mutes the microphone.
PAUSE_S = 6.0
#: A piece of sound whose loudest sample is above this belongs to a sentence.
LOUD = 600
#: Notes when each piece of sound was sent, with its loudest sample, and when each event of speech came.
WATCH = """window.log = [];
const { WebSocket } = window;
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    if (!String(given[0]).includes("/ws/speech")) return;
    this.addEventListener("message", ({ data }) => {
      const { type, sentence } = JSON.parse(data);
      window.log.push([performance.now(), type, sentence ?? ""]);
    });
    const { send } = this;
    this.send = (data) => {
      if (data instanceof Int16Array) window.log.push([performance.now(), "sound", Math.max(...data)]);
      return send.call(this, data);
    };
  }
};"""


def microphone(sentences: list[str]) -> bytes:
    parts = [np.zeros(SAMPLE_RATE // 2, np.float32)]
    for english in sentences:
        parts += [said(english, "en"), np.zeros(int(PAUSE_S * SAMPLE_RATE), np.float32)]
    samples = (np.clip(np.concatenate(parts), -1, 1) * 32767).astype("<i2")
    return audio.wav_header(SAMPLE_RATE, len(samples)) + samples.tobytes()


def delays(log: list[list[Any]]) -> dict[str, list[float]]:
    """Milliseconds of each sentence: first partial, final, first sound of the voice."""
    found: dict[str, list[float]] = {"first partial": [], "subtitle and translation": [], "voice": []}
    began = ended = None
    wanted: set[str] = set()
    for at, kind, what in log:
        if kind == "sound" and what > LOUD:
            if began is None:
                began, wanted = at, {"partial", "final", "audio"}
            ended = at
        elif kind in wanted and began is not None and ended is not None:
            wanted.discard(kind)
            if kind == "partial":
                found["first partial"].append(at - began)
            elif kind == "final":
                found["subtitle and translation"].append(at - ended)
                wanted.discard("partial")
            else:
                found["voice"].append(at - ended)
                began = None
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://localhost:8000")
    parser.add_argument("--sentences", type=int, default=12)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--shot", type=Path)
    parser.add_argument("--say", default="Hello. Where is the bathroom?")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        sound = Path(folder, "said.wav")
        said_then = [english for english, _ in pairs()[: args.sentences]] if args.shot is None else [args.say]
        sound.write_bytes(microphone(said_then))
        file = f"--use-file-for-fake-audio-capture={sound}%noloop"
        browser = driver.chromium.launch(executable_path=args.chromium, args=[*CHROMIUM, file])
        page = browser.new_page(viewport={"width": 1366, "height": 657}, locale="en-GB")
        page.set_default_timeout(120_000)
        page.add_init_script(PICTURES)
        page.add_init_script(WATCH)
        page.goto(f"{args.url}/conversation")
        page.wait_for_selector("#speech-engines:not([hidden])")
        if args.shot is not None:
            page.click("[data-sample='thank-you_goodbye.mp4']")
            page.wait_for_selector("#history li[data-who=signs]")
            page.wait_for_selector("#state[data-state=off]")
            page.click("#open-microphone")
            page.wait_for_selector("#signing [aria-current]")
            page.wait_for_timeout(1200)
            page.screenshot(path=str(args.shot))
            return
        page.select_option("[data-setting=reads]", "es")
        page.check("[data-setting=speechAloud]")
        page.click("#open-microphone")
        all_said = f"() => log.filter(([, kind]) => kind === 'final').length >= {args.sentences}"
        page.wait_for_function(all_said, timeout=args.sentences * 30_000)
        page.wait_for_timeout(5000)
        found = delays(page.evaluate("log"))
        browser.close()
    for name, all_ms in found.items():
        if len(all_ms) > 1:
            p95 = statistics.quantiles(all_ms, n=20, method="inclusive")[-1]
            print(f"{name}: p50 {statistics.median(all_ms):.0f} ms, p95 {p95:.0f} ms, {len(all_ms)} sentences")
    print(json.dumps({name: [round(ms) for ms in all_ms] for name, all_ms in found.items()}))


if __name__ == "__main__":
    main()

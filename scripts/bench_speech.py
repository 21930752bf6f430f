"""How well and how fast speech is written down, translated and read aloud, with the engines of this machine.

    python scripts/bench_speech.py quality                      # WER, chrF, milliseconds of Apertium
    python scripts/bench_speech.py delay --url ws://localhost:8000/api/ws/speech --sentences 50

The sentences of tests/data/speech_sentences.tsv are said by espeak-ng. quality: the word error rate of Whisper on them,
chrF of the translation of what was written and of what was heard, both ways; and what a sentence costs Apertium when
its programs stay alive, against programs that are started for each. delay: a client sends each sentence at the speed of
speech, then silence, to a running service, and measures from the beginning of speech to the first partial, and from its
end to the final (which carries the translation) and to the first sound of the voice. --sessions sends several at once.
signs: the prototype signer signs, and what Spanish and a voice add to a final is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

import jiwer  # noqa: E402
import numpy as np  # noqa: E402
import sacrebleu  # noqa: E402
import websockets  # noqa: E402

from app.services.speech.live.session import BEFORE_S, MAYBE_OVER_S  # noqa: E402
from app.speech import audio  # noqa: E402
from app.speech.endpoint import Endpointer  # noqa: E402
from app.speech.engines import SAMPLE_RATE, Samples  # noqa: E402
from app.speech.transcription.whisper import Whisper  # noqa: E402
from app.speech.translation.apertium import Apertium  # noqa: E402
from app.speech.translation.everyday import Everyday  # noqa: E402
from app.speech.voice.espeak import Espeak  # noqa: E402

TABLE = REPOSITORY / "tests/data/speech_sentences.tsv"
#: What the prototype signer signs, for `signs`.
ROWS = ("HELLO", "THANK-YOU GOODBYE", "PLEASE HELP IX-1", "YOU NAME", "YES PLEASE", "SORRY NO")
#: Seconds of one message.
CHUNK_S = 0.1


def pairs() -> list[tuple[str, str]]:
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [(english, spanish) for english, spanish in (line.split("\t") for line in lines)]


def plain(text: str) -> str:
    return re.sub(r"[^\w ]", "", text.lower()).strip()


def said(text: str, language: str) -> Samples:
    return audio.decode(audio.whole_wav(Espeak().speak(text, language)), audio.Limits(60))


def as_in_a_session(samples: Samples) -> Samples:
    """With the silence around it that a live session has."""
    before, behind = (np.zeros(int(seconds * SAMPLE_RATE), np.float32) for seconds in (BEFORE_S, MAYBE_OVER_S))
    return np.concatenate([before, samples, behind])


def quality(args: argparse.Namespace) -> None:
    table = pairs()[: args.sentences]
    whisper = Whisper("packages", cache=Path(args.cache), threads=args.threads)
    whisper.load()
    plainly, everyday = Apertium(), Everyday(Apertium())
    for source, target in (("en", "es"), ("es", "en")):
        texts = [english if source == "en" else spanish for english, spanish in table]
        goals = [spanish if source == "en" else english for english, spanish in table]
        sounds = [said(text, source) for text in texts]
        for how, read in (("whole", whisper.transcribe), ("live", whisper.draft)):
            began = time.perf_counter()
            if how == "live":
                found = [read(as_in_a_session(sound), source) for sound in sounds]
            else:
                found = [read(sound, None) for sound in sounds]
            heard = [transcript.text for transcript in found]
            if how == "whole":
                right = sum(transcript.language == source for transcript in found)
                print(f"{source}: language found {right}/{len(found)}")
            seconds = (time.perf_counter() - began) / len(texts)
            wer = jiwer.wer([plain(text) for text in texts], [plain(text) or "-" for text in heard])
            print(f"{source} {how}: WER {wer:.1%}, {seconds:.2f} s a sentence")
        for name, translator in (("Apertium", plainly), ("with everyday rules", everyday)):
            for what, asked in (("written", texts), ("heard", heard)):
                answers = [translator.translate(text, source, target) for text in asked]
                chrf = sacrebleu.corpus_chrf(answers, [goals]).score
                exact = sum(plain(a) == plain(g) for a, g in zip(answers, goals, strict=True))
                print(f"{source}->{target} {name}, {what}: chrF {chrf:.1f}, exact {exact}/{len(goals)}")
    texts = [english for english, _ in table]
    began = time.perf_counter()
    for text in texts:
        plainly.translate(text, "en", "es")
    alive_ms = (time.perf_counter() - began) * 1000 / len(texts)
    began = time.perf_counter()
    for text in texts[:20]:
        subprocess.run(["apertium", "eng-spa"], input=text.encode(), capture_output=True, check=True)
    each_ms = (time.perf_counter() - began) * 1000 / len(texts[:20])
    print(f"Apertium: {alive_ms:.1f} ms a sentence alive, {each_ms:.0f} ms with programs of its own")


async def one_sentence(url: str, text: str, source: str, target: str) -> dict[str, Any]:
    """Seconds, by what was waited for."""
    samples = said(text, source)
    ears = Endpointer()
    begin = None
    for at in range(0, len(samples), 320):
        if ears.add(samples[at : at + 320]) and begin is None:
            begin = at / SAMPLE_RATE
    end = ears.last_loud / SAMPLE_RATE
    sound = audio.to_int16(np.concatenate([samples, np.zeros(4 * SAMPLE_RATE, np.float32)])).tobytes()
    chunk = int(CHUNK_S * SAMPLE_RATE) * 2
    found: dict[str, Any] = {"text": text}
    async with websockets.connect(url) as socket:
        start = {"type": "start", "language": source, "targets": [source, target], "voice": target}
        await socket.send(json.dumps(start))
        while json.loads(await socket.recv())["type"] != "ready":
            pass
        began = time.monotonic()

        async def send() -> None:
            for number in range(0, len(sound), chunk):
                due = began + (number / chunk + 1) * CHUNK_S  # a piece exists when its end has been said
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                await socket.send(sound[number : number + chunk])

        sending = asyncio.create_task(send())
        try:
            async with asyncio.timeout(30):
                while "audio" not in found:
                    event = json.loads(await socket.recv())
                    now = time.monotonic() - began
                    if event["type"] == "partial" and event["sentence"]:
                        found.setdefault("first partial", now - (begin or 0))
                    elif event["type"] == "final" and "final" not in found:
                        found["final"] = now - end
                        found["translated"] = event["text"][target] is not None
                        found["sentence"] = event["sentence"]
                    elif event["type"] == "audio":
                        found["audio"] = now - end
        except TimeoutError:
            pass
        finally:
            sending.cancel()
    return found


async def delay(args: argparse.Namespace) -> None:
    table = pairs()[: args.sentences]
    jobs = [(english, "en", "es") for english, _ in table] + [(spanish, "es", "en") for _, spanish in table]
    await one_sentence(args.url, *jobs[0])  # loads the model
    found: list[dict[str, Any]] = []
    waiting = list(reversed(jobs))

    async def client() -> None:
        while waiting:
            found.append(await one_sentence(args.url, *waiting.pop()))

    await asyncio.gather(*(client() for _ in range(args.sessions)))
    print(f"{len(found)} sentences, {args.sessions} sessions at once")
    for name in ("first partial", "final", "audio"):
        times = [entry[name] for entry in found if name in entry]
        p50, p95 = np.percentile(times, [50, 95]) if times else (np.nan, np.nan)
        print(f"{name}: p50 {p50:.2f} s, p95 {p95:.2f} s, {len(times)} of {len(found)}")
    print(f"translated: {sum(bool(entry.get('translated')) for entry in found)} of {len(found)}")


async def one_signed(url: str, points: Any, start: dict[str, Any]) -> dict[str, float]:
    """Seconds from `flush`, sent after the last frame, to the final and to the first sound."""
    found: dict[str, float] = {}
    async with websockets.connect(url) as socket:
        await socket.send(json.dumps({"type": "start", "interim": False, **start}))
        while json.loads(await socket.recv())["type"] != "ready":
            pass
        for number, frame in enumerate(points):
            message = {"type": "landmarks", "points": frame.tolist(), "timestamp": number * 40}
            await socket.send(json.dumps(message))
            await asyncio.sleep(0.04)
        await socket.send(json.dumps({"type": "flush"}))
        began = time.monotonic()
        try:
            async with asyncio.timeout(10):
                while "final" not in found or (start.get("voice") and "audio" not in found):
                    event = json.loads(await socket.recv())
                    if event["type"] == "final" and event["text"]["es" if "es" in start["targets"] else "en"]:
                        found.setdefault("final", time.monotonic() - began)
                    elif event["type"] == "audio":
                        found.setdefault("audio", time.monotonic() - began)
        except TimeoutError:
            pass
    return found


async def signs(args: argparse.Namespace) -> None:
    from app.signer import prototypes

    book = prototypes.load()
    rows = [line.split() for line in ROWS]
    starts: dict[str, dict[str, Any]] = {
        "English": {"targets": ["en"]},
        "with Spanish": {"targets": ["en", "es"]},
        "with Spanish and voice": {"targets": ["en", "es"], "voice": "es"},
    }
    times: dict[str, list[dict[str, float]]] = {name: [] for name in starts}
    for number in range(args.sentences):
        points = book.phrase(rows[number % len(rows)]).points
        for name, start in starts.items():  # one after the other: the machine is the same for all
            times[name].append(await one_signed(args.url, points, start))
    for name, found in times.items():
        for what in ("final", "audio"):
            values = [entry[what] for entry in found if what in entry]
            if values:
                p50, p95 = np.percentile(values, [50, 95])
                print(f"{name}: {what} p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, {len(values)} of {len(found)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    first, second, third = (commands.add_parser(name) for name in ("quality", "delay", "signs"))
    for command in (first, second, third):
        command.add_argument("--sentences", type=int, default=50)
    first.add_argument("--threads", type=int, default=2)
    first.add_argument("--cache", default=str(Path(tempfile.gettempdir()) / "glossline-bench-speech"))
    second.add_argument("--url", default="ws://localhost:8000/api/ws/speech")
    second.add_argument("--sessions", type=int, default=1)
    third.add_argument("--url", default="ws://localhost:8000/api/ws/stream")
    args = parser.parse_args()
    if args.command == "quality":
        quality(args)
    else:
        asyncio.run(delay(args) if args.command == "delay" else signs(args))


if __name__ == "__main__":
    main()

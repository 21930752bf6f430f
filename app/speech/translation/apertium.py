"""Apertium, English and Spanish both ways: rules, offline, a few milliseconds a sentence.

One row of its programs per direction stays alive between texts; if it dies, the next text starts another one.
"""

from __future__ import annotations

import re
import shlex
import threading
from pathlib import Path

from app.speech import programs
from app.speech.engines import Availability, EngineFailed, EngineMissing, pair
from app.speech.programs import Pipeline
from app.speech.text import cleaned, sentences

MODES = Path("/usr/share/apertium/modes")
REMEDY = "apt-get install apertium-eng-spa"
#: Seconds for one text; one that takes longer means that a program hangs.
TIMEOUT_S = 10.0
#: Characters that mean something in Apertium's stream format.
_RESERVED = re.compile(r"([\[\]{}^$/\\@<>])")
#: What the programs mark: a superblank, an escaped character.
_BLANK, _ESCAPED = re.compile(r"(?<!\\)\[[^\]]*\]"), re.compile(r"\\(.)")
#: Marks the end of a sentence for the programs, as Apertium's own deformatter does.
_END = ".[]"
#: Passes through all programs unchanged: an answer without it is not whole.
_LAST = "[][\n]"
_CODES = {"en": "eng", "es": "spa"}


class Apertium:
    """A Translator. Thread-safe: one text of a direction at a time."""

    name = "apertium"

    def __init__(self, modes: Path = MODES, timeout_s: float = TIMEOUT_S) -> None:
        self._modes, self._timeout_s = modes, timeout_s
        self._running: dict[tuple[str, str], Pipeline] = {}
        self._locks = {("en", "es"): threading.Lock(), ("es", "en"): threading.Lock()}

    def availability(self) -> Availability:
        missing = [str(path) for path in map(self._mode, self._locks) if not path.is_file()]
        if not missing and programs.found("lt-proc") is None:
            missing = ["lt-proc"]
        if missing:
            return Availability(False, "Apertium's English-Spanish pair is not installed.", REMEDY)
        return Availability(True, "apertium-eng-spa, both ways")

    def _mode(self, direction: tuple[str, str]) -> Path:
        return self._modes / f"{_CODES[direction[0]]}-{_CODES[direction[1]]}.mode"

    def translate(self, text: str, source: str, target: str) -> str:
        """The text in the other language. A dead pipeline is replaced once; raises as `Translator.translate`."""
        direction = pair(source, target)
        text = cleaned(text)
        if source == target or not text:
            return text
        found = self.availability()
        if not found.available:
            raise EngineMissing(found)
        with self._locks[direction]:
            try:
                return self._all(direction, text)
            except EngineFailed:
                return self._all(direction, text)

    def _all(self, direction: tuple[str, str], text: str) -> str:
        pipeline = self._running.get(direction)
        if pipeline is None or not pipeline.alive:
            if pipeline is not None:
                pipeline.close()
            pipeline = self._running[direction] = Pipeline(commands(self._mode(direction)))
        return " ".join(self._one(pipeline, sentence) for sentence in sentences(text))

    def _one(self, pipeline: Pipeline, sentence: str) -> str:
        ends = sentence[-1] in ".!?…"
        asked = _RESERVED.sub(r"\\\1", sentence) + ("" if ends else _END) + _LAST
        answer = pipeline.ask(asked.encode(), self._timeout_s).decode("utf-8", "replace")
        if not answer.endswith(_LAST):  # a program has died, and those behind it have written what they had
            pipeline.close()
            raise EngineFailed("The translation programs gave only part of an answer.")
        answer = answer.removesuffix(_LAST)
        if not ends:
            answer = answer.removesuffix(_END)
        plain = _ESCAPED.sub(r"\1", _BLANK.sub("", answer))
        return cleaned(plain)

    @property
    def pids(self) -> list[int]:
        """Of the running programs."""
        return [pid for pipeline in self._running.values() for pid in pipeline.pids]

    def close(self) -> None:
        for direction, lock in self._locks.items():
            with lock:
                pipeline = self._running.pop(direction, None)
                if pipeline is not None:
                    pipeline.close()


def commands(mode: Path) -> list[list[str]]:
    """The programs of a mode file, each flushing its output at every NUL. `$1`: generate without marks for unknown
    words; `$2`: nothing."""
    row = mode.read_text(encoding="utf-8").strip()
    made = []
    for part in row.split("|"):
        words = [word for word in shlex.split(part.replace("$1", "-n").replace("$2", "")) if word]
        program = programs.found(words[0])
        if program is None:
            raise EngineMissing(Availability(False, f"Apertium's program {words[0]} is not installed.", REMEDY))
        made.append([program, "-z", *words[1:]])
    return made

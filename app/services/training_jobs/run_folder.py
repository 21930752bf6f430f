"""What the trainer left in a run's folder: how far it is, its numbers, its log, and how it ended.

status.json may be missing (the trainer was killed before it wrote one): then the exit code and the log tell why. Only
status.json is of the process that runs; log.jsonl of a resumed job has lines from before.
"""

from __future__ import annotations

import codecs
import json
import signal
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from app.db.models.training import STATES

LOG = "train.log"
#: Exit code of the trainer when it was stopped and can go on.
STOPPED = 3
_COUNTS = ("step", "steps", "epoch", "epochs")
#: Longest part of a log or of the numbers that is read at once.
MAX_BYTES = 1 << 20
_TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes offset..end of the log as text; size: bytes there are by now."""

    text: str
    offset: int
    end: int
    size: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Lines of log.jsonl from the asked one on; next: what to ask for afterwards."""

    lines: list[dict[str, Any]]
    next: int
    more: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a process ended: 'finished', 'stopped' or 'failed', and why."""

    state: Literal["finished", "stopped", "failed"]
    reason: str | None


def status(run: Path) -> dict[str, Any]:
    """status.json; {} where there is none yet."""
    try:
        found = json.loads((run / "status.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("state") in STATES else {}


def progress(run: Path) -> dict[str, int]:
    """step, steps, epoch, epochs as far as this process has told; {} where it has not come so far."""
    told = status(run)
    return {key: told[key] for key in _COUNTS if isinstance(told.get(key), int)}


def begun(run: Path) -> bool:
    """Has this process come to training?"""
    return status(run).get("state") in ("running", "finished")


def numbers(run: Path, since: int, limit: int) -> Numbers:
    """Whole lines of log.jsonl, from line `since` (0 = first) on, at most `limit`."""
    lines: list[dict[str, Any]] = []
    place = 0
    try:
        with (run / "log.jsonl").open(encoding="utf-8", errors="replace") as file:
            for place, line in enumerate(file):
                if not line.endswith("\n"):  # being written
                    break
                if place < since:
                    continue
                if len(lines) == limit:
                    return Numbers(lines, place, True)
                try:
                    entry = json.loads(line, parse_constant=lambda _: None)
                except ValueError:
                    entry = None
                lines.append(entry if isinstance(entry, dict) else {})
    except FileNotFoundError:
        pass
    return Numbers(lines, since + len(lines), False)


def log_piece(run: Path, offset: int, limit: int = MAX_BYTES) -> Piece:
    """The log from byte `offset` on, at most `limit` (>= 4) bytes, never half a character; empty behind its end.

    Bytes that are no text show as U+FFFD.
    """
    try:
        with (run / LOG).open("rb") as file:
            size = file.seek(0, 2)
            offset = min(offset, size)
            file.seek(offset)
            data = file.read(limit)
    except FileNotFoundError:
        return Piece("", 0, 0, 0)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    begun = len(decoder.getstate()[0])  # of a character whose other bytes are not read, or not written yet
    return Piece(text, offset, offset + len(data) - begun, size)


def log_tail(run: Path, lines: int = _TAIL_LINES) -> Piece:
    """The last lines of the log."""
    try:
        with (run / LOG).open("rb") as file:
            size = file.seek(0, 2)
            begin = file.seek(max(0, size - 64 * 1024))
            # In bytes: what is no text takes more of them once it is shown.
            before = b"".join(file.read().splitlines(keepends=True)[:-lines])
    except FileNotFoundError:
        return Piece("", 0, 0, 0)
    return log_piece(run, begin + len(before))


def verdict(run: Path, exit_code: int | None, stop_asked: bool) -> Verdict:
    """What to make of a process that has ended. exit_code: None where nobody saw it, -N for signal N."""
    told = status(run)
    state, reason = told.get("state"), told.get("reason")
    reason = reason if isinstance(reason, str) and reason else None
    if exit_code == 0 or (exit_code is None and state == "finished"):
        return Verdict("finished", None)
    if exit_code == STOPPED or stop_asked or (exit_code is None and state == "stopped"):
        return Verdict("stopped", reason)
    return Verdict("failed", reason if state == "failed" and reason else _why(run, exit_code))


def _why(run: Path, exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        return f"The process was ended by {name}" + (
            "; on a full machine that is how the system frees memory." if exit_code == -signal.SIGKILL else "."
        )
    said = [line for line in log_tail(run).text.splitlines() if line.strip()]
    first = max((place for place, line in enumerate(said) if line.startswith("error: ")), default=len(said) - 1)
    # A refusal may go on in indented lines: all that is wrong in a table, for example.
    words = said[max(first, 0) :][:1] + list(takewhile(lambda line: line.startswith("  "), said[first + 1 :]))
    told = " ".join(line.strip() for line in words)
    how = f"ended with exit code {exit_code}" if exit_code is not None else "ended while nobody watched it"
    return f"The process {how}. Its last words: {told.removeprefix('error: ')[:500]}" if told else f"The process {how}."

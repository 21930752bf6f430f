"""The log of a job's process, and how the process ended.

status.json may be missing (the trainer was killed before it wrote one): then the exit code and the log say why.
"""

from __future__ import annotations

import codecs
import signal
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Literal

from app.training.run_folder import FINISHED, STOPPED, read_status

LOG = "train.log"
#: Longest part of a log that is read at once, in bytes.
MAX_BYTES = 1 << 20
_TAIL_LINES = 40


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A part of the log; /api/training/jobs/{id}/logs answers with these fields."""

    text: str
    offset: int
    """Its offset, in bytes."""
    next: int
    """Offset of its end."""
    size: int
    """Current size of the log in bytes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a process ended, and why."""

    state: Literal["finished", "stopped", "failed"]
    reason: str | None


def log_chunk(run: Path, offset: int, limit: int = MAX_BYTES) -> LogChunk:
    """The log from byte `offset` on, at most `limit` (>= 4) bytes, never half a character; empty past its end.

    Invalid bytes become U+FFFD.
    """
    try:
        with (run / LOG).open("rb") as file:
            size = file.seek(0, 2)
            offset = min(offset, size)
            file.seek(offset)
            data = file.read(limit)
    except FileNotFoundError:
        return LogChunk("", 0, 0, 0)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(data)
    partial = len(decoder.getstate()[0])  # bytes of a character that is not fully read or written yet
    return LogChunk(text, offset, offset + len(data) - partial, size)


def log_tail(run: Path, lines: int = _TAIL_LINES) -> LogChunk:
    """The last lines of the log."""
    try:
        with (run / LOG).open("rb") as file:
            size = file.seek(0, 2)
            begin = file.seek(max(0, size - 64 * 1024))
            # In bytes: invalid bytes take more of them once they are replaced.
            before = b"".join(file.read().splitlines(keepends=True)[:-lines])
    except FileNotFoundError:
        return LogChunk("", 0, 0, 0)
    return log_chunk(run, begin + len(before))


def verdict(run: Path, exit_code: int | None, stop_asked: bool) -> Verdict:
    """How a process ended. exit_code: -N for signal N, None if unknown."""
    written = read_status(run)
    state, reason = written.get("state"), written.get("reason")
    reason = reason if isinstance(reason, str) and reason else None
    if exit_code == FINISHED or (exit_code is None and state == "finished"):
        return Verdict("finished", None)
    if exit_code == STOPPED or stop_asked or (exit_code is None and state == "stopped"):
        return Verdict("stopped", reason)
    return Verdict("failed", reason if state == "failed" and reason else _why(run, exit_code))


def _why(run: Path, exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else f"signal {-exit_code}"
        return f"The process was ended by {name}" + (
            "; this is how the system frees memory when it runs out." if exit_code == -signal.SIGKILL else "."
        )
    lines = [line for line in log_tail(run).text.splitlines() if line.strip()]
    first = max((place for place, line in enumerate(lines) if line.startswith("error: ")), default=len(lines) - 1)
    # A refusal may continue in indented lines, for example with all errors of a table.
    words = lines[max(first, 0) :][:1] + list(takewhile(lambda line: line.startswith("  "), lines[first + 1 :]))
    said = " ".join(line.strip() for line in words)
    how = "while no service process was watching it" if exit_code is None else f"with exit code {exit_code}"
    last = f" Last output: {said.removeprefix('error: ')[:500]}" if said else ""
    return f"The process ended {how}.{last}"

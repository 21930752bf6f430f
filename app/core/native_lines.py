"""What native code writes to standard error, as JSON lines like all others: MediaPipe, gRPC, TensorFlow Lite, crashes.

These libraries write to file descriptor 2 themselves. With LOG_JSON a thread reads that descriptor, passes lines on
that are JSON already (those of child processes of the service), and makes objects with `event` `native` of the others.
The service's own lines go around the thread, so that none is lost when the process is killed.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from app.core.logging import escaped, json_sink

_STDERR = 2
#: How Google's libraries begin a line: level, date, time, thread, source.
_GOOGLE = re.compile(r"([IWEF])\d{4} [\d:.]+\s+\d+ ([\w./-]+:\d+)\] ?(.*)")
#: TensorFlow Lite and Python's own warnings.
_NAMED = re.compile(r"(INFO|WARNING|ERROR|FATAL): (.*)")
_LEVELS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "CRITICAL", "FATAL": "CRITICAL"}
#: Bytes of one line; what is longer is cut into several.
_MAX_LINE = 64 * 1024


@contextmanager
def native_lines_as_json() -> Iterator[None]:
    """While the block lasts, every line on file descriptor 2 is one JSON object. Does nothing without LOG_JSON."""
    sink = json_sink()
    if sink is None:
        yield
        return
    try:
        around = os.dup(_STDERR)
    except OSError:  # there is no standard error
        yield
        return
    before = sink.stream
    direct = os.fdopen(around, "w", encoding="utf-8", buffering=1)
    if _is_standard_error(before):
        sink.stream = direct
    reader, writer = os.pipe()
    os.dup2(writer, _STDERR)
    os.close(writer)
    copy = os.dup(around)
    thread = threading.Thread(target=_forward, args=(reader, copy), name="native-lines", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.dup2(around, _STDERR)
        # A child process that still runs holds the pipe: then the thread goes on for it.
        thread.join(timeout=0.5)
        sink.stream = before
        direct.close()


def native_line(text: str) -> str:
    """One line of a native library as one line of JSON; a line that is a JSON object stays as it is."""
    if text.startswith("{"):
        try:
            if isinstance(json.loads(text), dict):
                return text + "\n"
        except ValueError:
            pass
    level, source, message = "INFO", None, text
    if (found := _GOOGLE.match(text)) is not None:
        level, source, message = found.groups()
    elif (found := _NAMED.match(text)) is not None:
        level, message = found.groups()
    line = {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": _LEVELS.get(level, level),
        "event": "native",
        "message": escaped(message),
    }
    if source is not None:
        line["source"] = source
    return json.dumps(line, ensure_ascii=False) + "\n"


def _is_standard_error(stream: object) -> bool:
    """Not where a test, or a program around the service, has put something else in its place."""
    try:
        return bool(stream.fileno() == _STDERR)  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False


def _forward(reader: int, target: int) -> None:
    with os.fdopen(reader, "rb", buffering=0) as source, os.fdopen(target, "wb", buffering=0) as sink:
        held = b""
        while chunk := source.read(65536):
            *lines, held = (held + chunk).split(b"\n")
            if len(held) > _MAX_LINE:
                lines, held = [*lines, held], b""
            _write(sink, lines)
        _write(sink, [held])


def _write(sink: io.RawIOBase, lines: list[bytes]) -> None:
    text = "".join(native_line(line.decode("utf-8", "replace").rstrip("\r")) for line in lines if line.strip())
    if text:
        sink.write(text.encode())

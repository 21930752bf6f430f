"""Logging with loguru: one line per event, each with its request id, none with a payload; as text or as JSON.

Whatever a client sends may end up in a message: a path, a header, the text of an exception. `escaped` is the one place
where control characters and line breaks in it become visible escapes, so that a client can neither forge a line nor
send escape sequences to a terminal, and where it is cut, so that it cannot fill the disk. Lines of a traceback are
indented, so they cannot pass for lines of their own. `redacted` masks what looks like a credential, in case one gets
into a message after all; `logger.bind(unredacted=True)` keeps a message as it is.

With LOG_JSON each line is one object: `time`, `level`, `event` (its kind: `http_request`, `session_end` ...; `log`
for all others), `message`, `logger`, the fields that were bound to it, and `traceback`.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, TextIO

from loguru import logger

from app.core.tracing import trace_id

if TYPE_CHECKING:
    from loguru import Message, Record

    from app.core.settings import Settings

#: Characters of a message or of an exception's text; a path alone may have 64 KiB, and a request costs a millisecond.
MAX_TEXT = 2000
#: C0 and C1 control characters, the line separators of Unicode, and what changes the direction of text.
_UNSAFE = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029, 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F),
                 *range(0x2066, 0x206A), 0xFEFF, *range(0xD800, 0xE000))
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}  # fmt: skip

#: The account or the API key of the current request, by its id; empty: anonymous, or not known yet. Each door sets it
#: when it knows the caller; every line of the request then carries it.
principal_id: ContextVar[str] = ContextVar("principal_id", default="")

#: What is masked, each with what stays of it. The last line of defence: no message is meant to hold any of these.
_CREDENTIALS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@"), r"\1:***@"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), "***"),  # a JSON web token
    (re.compile(r"\b((?:sk|rk|pk)_(?:live|test)|whsec)_\w+"), r"\1_***"),  # Stripe's keys and webhook secrets
    (
        re.compile(
            r"(?i)((?:^|[?&\s\"'{,])(?:[\w-]*(?:password|passwd|secret|token|ticket|api[_-]?key)|authorization)"
            r"[\"']?\s*[=:]\s*)(?!\(hidden\)|bearer |basic )(?:\"[^\"]*\"|'[^']*'|[^\s&\"',;}]+)"
        ),
        r"\1***",
    ),
)
#: Without one of these no pattern above matches: most lines are looked at only once.
_MAY_HOLD_ONE = re.compile(
    r"(?i)bearer|basic|://|eyJ|[srp]k_|whsec|passw|secret|token|ticket|api[_-]?key|authorization"
)


def redacted(text: str) -> str:
    """The text with `***` in place of what looks like a credential."""
    if _MAY_HOLD_ONE.search(text) is None:
        return text
    for pattern, kept in _CREDENTIALS:
        text = pattern.sub(kept, text)
    return text


class _ToLoguru(logging.Handler):
    """Passes records of the standard library's loggers (uvicorn, warnings of libraries) to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level: str | int = logger.level(record.levelname).name
        except ValueError:
            level = record.levelno
        frame: FrameType | None = inspect.currentframe()
        depth = 0
        while frame is not None and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame = frame.f_back
            depth += 1
        logger.opt(depth=depth, exception=record.exc_info).log(level, record.getMessage())


def escaped(text: str, shown: bool = False) -> str:
    """Text from outside as one line without credentials, at most MAX_TEXT characters; shown: with them."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text) - MAX_TEXT} more characters)"
    return (text if shown else redacted(text)).translate(_UNSAFE)


def _escape_record(record: Record) -> None:
    """loguru calls it for every record, before any sink sees it."""
    shown = record["extra"].pop("unredacted", False)
    record["message"] = escaped(record["message"], shown)
    if principal := principal_id.get():
        record["extra"].setdefault("principal_id", principal)
    if (trace := trace_id()) is not None:
        record["extra"]["trace_id"] = trace
    for key, value in record["extra"].items():
        if isinstance(value, str):
            record["extra"][key] = escaped(value)
    exception = record["exception"]
    if exception is not None:
        record["extra"]["traceback"] = _traceback(*exception)


def _traceback(kind: type[BaseException] | None, value: BaseException | None, where: TracebackType | None) -> str:
    """The traceback as indented lines, without the values of variables; the exceptions' own text on one line each."""
    if kind is None or value is None:
        return ""
    lines: list[str] = []
    for part in traceback.TracebackException(kind, value, where).format():
        if part.startswith(("  File ", "\n")):  # a place in the code; the words between two exceptions
            lines += part.strip("\n").split("\n")
        else:
            lines.append(part.removesuffix("\n"))
    return "".join(f"    {escaped(line)}\n" for line in lines)


def _line(record: Record) -> str:
    request = " <cyan>{extra[request_id]}</cyan>" if "request_id" in record["extra"] else ""
    trace = "{extra[traceback]}" if "traceback" in record["extra"] else ""
    return (
        "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS}</dim> <level>{level:<7}</level>"
        + request
        + " <dim>{name}</dim> {message}\n"
        + trace
    )


class _JsonSink:
    """Writes each record as one JSON object on a line of its own."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        """Where the lines go; see app/core/native_lines.py, which moves it."""

    def __call__(self, message: Message) -> None:
        try:
            self.stream.write(json_line(message.record))
            self.stream.flush()
        except (OSError, ValueError):  # standard error is closed: there is no place left to say so
            pass


def json_line(record: Record) -> str:
    """The record as one line of JSON, with its line break."""
    extra = dict(record["extra"])
    trace = extra.pop("traceback", None)
    line = {
        "time": record["time"].astimezone(UTC).isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "event": extra.pop("event", "log"),
        "message": record["message"],
        "logger": record["name"],
        **{key: value for key, value in extra.items() if value is not None},
    }
    if trace is not None:
        line["traceback"] = trace
    return json.dumps(line, default=str, ensure_ascii=False) + "\n"


def start_failure(why: str) -> str:
    """Why the service cannot start, for standard error: settings that cannot be used may not say how lines look, so
    only the environment is asked for LOG_JSON."""
    text = f"Glossline cannot start.\n{why}\n"
    if os.environ.get("LOG_JSON", "").strip().lower() not in ("1", "true", "yes", "on", "t", "y"):
        return text
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = {"time": time, "level": "CRITICAL", "event": "log", "message": escaped(text.strip())}
    return json.dumps(line, ensure_ascii=False) + "\n"


#: The sink of LOG_JSON, while there is one.
_sink: _JsonSink | None = None


def json_sink() -> _JsonSink | None:
    """The sink that writes JSON; None while lines are text."""
    return _sink


def configure_logging(settings: Settings) -> None:
    """Send everything to standard error, as lines or as JSON.

    Values of local variables are never printed: they may be frames or files of a user. The access log of uvicorn is
    replaced by one line of our own that carries the request id and no query string.
    """
    global _sink
    logger.remove()
    logger.configure(patcher=_escape_record)
    _sink = _JsonSink(sys.stderr) if settings.log_json else None
    logger.add(_sink or sys.stderr, level=settings.log_level, format=_line, diagnose=False, backtrace=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        uvicorn_logger = logging.getLogger(name)
        uvicorn_logger.handlers = []
        uvicorn_logger.propagate = True
        uvicorn_logger.setLevel(logging.INFO)
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False

"""Logging with loguru: one line per event, each with its request id, none with a payload.

Whatever a client sends may end up in a message: a path, a header, the text of an exception. `_escape` is the one place
where control characters and line breaks in it become visible escapes, so that a client can neither forge a line nor
send escape sequences to a terminal, and where it is cut, so that it cannot fill the disk. Lines of a traceback are
indented, so they cannot pass for lines of their own.
"""

from __future__ import annotations

import inspect
import logging
import sys
import traceback
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

    from app.core.settings import Settings

#: Characters of a message or of an exception's text; a path alone may have 64 KiB, and a request costs a millisecond.
MAX_TEXT = 2000
#: C0 and C1 control characters, the line separators of Unicode, and what changes the direction of text.
_UNSAFE = {
    code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x2028, 0x2029, 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F),
                 *range(0x2066, 0x206A), 0xFEFF, *range(0xD800, 0xE000))
} | {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}  # fmt: skip


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


def _escape(text: str) -> str:
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}... ({len(text) - MAX_TEXT} more characters)"
    return text.translate(_UNSAFE)


def _escape_record(record: Record) -> None:
    """loguru calls it for every record, before any sink sees it."""
    record["message"] = _escape(record["message"])
    for key, value in record["extra"].items():
        if isinstance(value, str):
            record["extra"][key] = _escape(value)
    exception = record["exception"]
    if exception is not None:
        record["extra"]["traceback"] = _traceback(*exception)
        # For LOG_JSON, where loguru writes the text of the exception as it is.
        record["exception"] = exception._replace(value=Exception(_escape(_text(exception.value))))


def _text(error: BaseException | None) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception of a library whose own __str__ fails
        return "(no text)"


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
    return "".join(f"    {_escape(line)}\n" for line in lines)


def _line(record: Record) -> str:
    request = " <cyan>{extra[request_id]}</cyan>" if "request_id" in record["extra"] else ""
    trace = "{extra[traceback]}" if "traceback" in record["extra"] else ""
    return (
        "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS}</dim> <level>{level:<7}</level>"
        + request
        + " <dim>{name}</dim> {message}\n"
        + trace
    )


def configure_logging(settings: Settings) -> None:
    """Send everything to standard error, as lines or as JSON.

    Values of local variables are never printed: they may be frames or files of a user. The access log of uvicorn is
    replaced by one line of our own that carries the request id and no query string.
    """
    logger.remove()
    logger.configure(patcher=_escape_record)
    logger.add(
        sys.stderr, level=settings.log_level, format=_line, serialize=settings.log_json, diagnose=False, backtrace=False
    )
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        uvicorn_logger = logging.getLogger(name)
        uvicorn_logger.handlers = []
        uvicorn_logger.propagate = True
        uvicorn_logger.setLevel(logging.INFO)
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False

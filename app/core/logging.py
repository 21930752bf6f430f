"""Logging with loguru: one line per event, each with its request id, none with a payload."""

from __future__ import annotations

import inspect
import logging
import sys
from types import FrameType
from typing import TYPE_CHECKING

from loguru import logger

if TYPE_CHECKING:
    from loguru import Record

    from app.core.settings import Settings


class _ToLoguru(logging.Handler):
    """Hands records of the standard library's loggers (uvicorn, warnings of libraries) to loguru."""

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


def _line(record: Record) -> str:
    request = " <cyan>{extra[request_id]}</cyan>" if "request_id" in record["extra"] else ""
    return (
        "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS}</dim> <level>{level:<7}</level>"
        + request
        + " <dim>{name}</dim> {message}\n{exception}"
    )


def configure_logging(settings: Settings) -> None:
    """Send everything to standard error, in lines or in JSON.

    `diagnose` stays off: it would print the values of local variables, which may be frames or files of a user.
    The access log of uvicorn is replaced by one line of our own that carries the request id and no query string.
    """
    logger.remove()
    if settings.log_json:
        logger.add(sys.stderr, level=settings.log_level, serialize=True, diagnose=False, backtrace=False)
    else:
        logger.add(sys.stderr, level=settings.log_level, format=_line, diagnose=False, backtrace=False)
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)
    for name in ("uvicorn", "uvicorn.error"):
        uvicorn_logger = logging.getLogger(name)
        uvicorn_logger.handlers = []
        uvicorn_logger.propagate = True
        uvicorn_logger.setLevel(logging.INFO)
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False

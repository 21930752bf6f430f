"""Filters the start-up messages of MediaPipe's C++ libraries from standard error and passes everything else on."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
#: What MediaPipe 0.10.21 logs whenever a graph opens. Its loggers cannot be configured from Python.
_CHATTER = (
    b"Created TensorFlow Lite XNNPACK delegate for CPU",
    b"All log messages before absl::InitializeLog() is called are written to STDERR",
    b"Feedback manager requires a model with a single signature inference",
    b"Using NORM_RECT without IMAGE_DIMENSIONS is only supported for the square ROI",
)

_lock = threading.Lock()
_users = 0
_forwarder: threading.Thread | None = None
_saved = -1


@contextmanager
def chatter_filtered() -> Iterator[None]:
    """While the block lasts, known messages are removed from file descriptor 2; all other lines are passed on at once.

    Descriptor 2 belongs to the whole process, hence a filter and not a redirection to /dev/null: other threads and
    child processes lose nothing. May be nested and used from several threads.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _users, _forwarder, _saved
    with _lock:
        _users += 1
        if _users > 1:
            return
        try:
            _saved = os.dup(_STDERR)
        except OSError:  # a service without a standard error has nothing to keep clean
            _saved = -1
            return
        reader, writer = os.pipe()
        os.dup2(writer, _STDERR)
        os.close(writer)
        _forwarder = threading.Thread(target=_forward, args=(reader, os.dup(_saved)), name="stderr-filter", daemon=True)
        _forwarder.start()


def _leave() -> None:
    global _users, _forwarder, _saved
    with _lock:
        _users -= 1
        if _users or _saved < 0:
            return
        os.dup2(_saved, _STDERR)
        os.close(_saved)
        _saved = -1
        if _forwarder is not None:
            # A child process started meanwhile may still hold the pipe: then the thread keeps forwarding for it.
            _forwarder.join(timeout=0.5)
            _forwarder = None


def _forward(reader: int, target: int) -> None:
    with os.fdopen(reader, "rb", buffering=0) as source, os.fdopen(target, "wb", buffering=0) as sink:
        held = b""
        while chunk := source.read(65536):
            *lines, held = (held + chunk).split(b"\n")
            kept = [line for line in lines if not any(phrase in line for phrase in _CHATTER)]
            if kept:
                sink.write(b"\n".join(kept) + b"\n")
            if held and not _may_be_chatter(held):
                sink.write(held)
                held = b""
        if held:
            sink.write(held)


def _may_be_chatter(start: bytes) -> bool:
    """An unfinished line is held back only while it may still become a known message."""
    return start.startswith((b"INFO:", b"WARNING:", b"W0000")) or len(start) < 8

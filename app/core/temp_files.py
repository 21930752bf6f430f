"""A temporary file for an upload, removed after processing or, if the process was killed, at the next start."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
from loguru import logger

from app.core.errors import InsufficientStorage

_NAME = re.compile(r"glossline-(\d+)-\w+\.upload")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@contextlib.asynccontextmanager
async def temporary_file() -> AsyncIterator[Path]:
    """An empty file that only this user can read, removed when the block ends, however it ends. Raises
    InsufficientStorage where the file cannot be made, and in place of what the block raises for a full disk."""
    try:
        handle, path = await asyncio.to_thread(_create)
    except OSError as problem:
        logger.error("uploads cannot be stored in {} (TMPDIR): {}", tempfile.gettempdir(), problem.strerror)
        if problem.errno in _NO_SPACE:
            raise InsufficientStorage from problem
        raise InsufficientStorage(
            f"The directory for uploads cannot be used: {problem.strerror}. Make the directory of TMPDIR writable, "
            "then send the file again."
        ) from problem
    try:
        try:
            yield path
        finally:
            await asyncio.shield(asyncio.to_thread(_remove, handle, path))
    except OSError as problem:
        if problem.errno not in _NO_SPACE:
            raise
        raise InsufficientStorage from problem


def _create() -> tuple[int, Path]:
    """The open descriptor holds a lock for as long as this process lives: that is how `remove_leftovers` knows."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f"glossline-{os.getpid()}-", suffix=".upload")
        path = Path(name)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                return handle, path
        except BlockingIOError:  # another process has just taken it for a leftover
            pass
        os.close(handle)
        path.unlink(missing_ok=True)


def _remove(handle: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(handle)


def remove_leftovers() -> int:
    """Remove the uploads of killed processes of this user from the temporary directory; returns how many.

    A file is left alone while a process holds its lock (also one in another container, whose process ids mean nothing
    here) or while the process that its name carries is alive and older than the file.
    """
    removed = 0
    for path in Path(tempfile.gettempdir()).glob("glossline-*.upload"):
        named = _NAME.fullmatch(path.name)
        if named is None:
            continue
        with contextlib.suppress(OSError):  # removed in the meantime, or not accessible
            removed += _remove_if_left(path, int(named[1]))
    return removed


def _remove_if_left(path: Path, pid: int) -> bool:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or _older(pid, found.st_mtime):
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError: in use
        path.unlink()
        return True
    finally:
        os.close(handle)


def _older(pid: int, than: float) -> bool:
    """Whether the process is alive and had started by then; a younger one has only inherited the number."""
    try:
        return psutil.Process(pid).create_time() <= than
    except (psutil.NoSuchProcess, OverflowError, ValueError):
        return False
    except psutil.AccessDenied:
        return True

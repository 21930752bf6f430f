"""A place on disk for an upload, gone when it has been dealt with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path


@contextlib.asynccontextmanager
async def temporary_file() -> AsyncIterator[Path]:
    """An empty file that nobody else can read, gone when the block ends, however it ends.

    Its name carries the process, so that what a killed service left behind is told from what a running one holds.
    """
    handle, name = tempfile.mkstemp(prefix=f"glossline-{os.getpid()}-", suffix=".upload")
    os.close(handle)
    path = Path(name)
    try:
        yield path
    finally:
        await asyncio.shield(asyncio.to_thread(path.unlink, missing_ok=True))

"""Uploads leave nothing behind: neither a full disk nor a killed process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from app.core.errors import InsufficientStorage
from app.core.temp_files import remove_leftovers, temporary_file

HOLDER = """
import asyncio, sys
from app.core.temp_files import temporary_file
async def hold():
    async with temporary_file() as path:
        print(path, flush=True)
        await asyncio.sleep(600)
asyncio.run(hold())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def left(folder: Path, name: str, age_s: float = 0) -> Path:
    path = folder / name
    path.write_bytes(b"video")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


async def test_a_file_is_private_and_goes_with_its_block(folder: Path) -> None:
    async with temporary_file() as path:
        assert path.parent == folder
        assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(folder) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_has_a_name_and_leaves_nothing(folder: Path, number: int) -> None:
    with pytest.raises(InsufficientStorage):
        async with temporary_file():
            raise OSError(number, os.strerror(number))
    with pytest.raises(PermissionError):
        async with temporary_file():
            raise OSError(errno.EACCES, "another fault")
    assert os.listdir(folder) == []


async def test_a_directory_that_has_gone_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "removed"))
    with pytest.raises(InsufficientStorage, match="TMPDIR"):
        async with temporary_file():
            pass


def test_what_a_killed_process_left_is_removed_and_nothing_else(folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        dead = left(folder, f"glossline-{dead_pid()}-abc_1.upload")
        reused = left(folder, f"glossline-{os.getpid()}-abc.upload", age_s=10 * 365 * 86400)
        kept = [
            left(folder, f"glossline-{os.getpid()}-new.upload"),
            left(folder, "glossline-notes.upload"),
            left(folder, "glossline-1x-a.upload"),
            left(folder, "other.upload"),
        ]
        elsewhere = folder / f"glossline-{dead_pid()}-dir.upload"
        elsewhere.mkdir()
        link = folder / f"glossline-{dead_pid()}-link.upload"
        link.symlink_to(kept[-1])
        assert remove_leftovers() == 2
        assert not dead.exists()
        assert not reused.exists()
        assert all(path.exists() for path in (*kept, elsewhere, link, held))
        # Its process id means nothing in another container, but the lock does.
        renamed = held.rename(folder / f"glossline-{dead_pid()}-held.upload")
        assert remove_leftovers() == 0
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert remove_leftovers() == 1
        assert not renamed.exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]

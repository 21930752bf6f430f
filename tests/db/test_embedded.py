from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

import psutil
import pytest

from app.db.embedded import EmbeddedError, EmbeddedPostgres
from tests.conftest import database_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with database_folder() as where:
        yield where
        assert server_pid(where) is None


def server_pid(folder: Path) -> int | None:
    """The server of these data, if it runs (a zombie whose parent does not look does not)."""
    for process in psutil.process_iter(["name", "cmdline", "status"]):
        if process.info["name"] == "postgres" and str(folder / "postgres") in (process.info["cmdline"] or []):
            return int(process.pid)
    return None


def test_it_starts_stops_and_starts_again(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    address = server.start()
    assert address.startswith("postgresql://")
    assert server_pid(folder) is not None
    server.stop()
    assert server_pid(folder) is None
    server.stop()
    assert server.start() == address
    server.stop()


def use(folder: Path, ready: Event, leave: Event) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    ready.set()
    leave.wait(60)
    server.stop()


def test_processes_share_it_and_the_last_one_stops_it(folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, leave = spawn.Event(), spawn.Event()
    other = spawn.Process(target=use, args=(folder, ready, leave))
    other.start()
    server = EmbeddedPostgres(folder)
    server.start()
    assert ready.wait(60)
    pid = server_pid(folder)
    assert pid is not None
    server.stop()
    assert server_pid(folder) == pid
    leave.set()
    other.join(60)
    assert server_pid(folder) is None


def test_a_user_that_was_killed_is_not_waited_for(folder: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, leave = spawn.Event(), spawn.Event()
    other = spawn.Process(target=use, args=(folder, ready, leave))
    other.start()
    assert ready.wait(60)
    other.kill()
    other.join(60)
    assert server_pid(folder) is not None
    server = EmbeddedPostgres(folder)
    server.start()
    server.stop()
    assert server_pid(folder) is None


def test_a_server_that_was_killed_is_started_again(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    killed = server_pid(folder)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    while server_pid(folder) == killed:  # a killed process is there until the kernel has taken it down
        time.sleep(0.01)
    server.start()
    try:
        for _ in range(50):  # a process that is being forked shows no command line yet
            if (again := server_pid(folder)) is not None:
                break
            time.sleep(0.1)
        assert again not in (None, killed)
    finally:
        server.stop()


def test_the_number_of_a_dead_server_may_belong_to_somebody_else(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    server.start()
    pid_file = folder / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    server.start()
    assert server_pid(folder) is not None
    server.stop()


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match="DATA_DIR"):
        EmbeddedPostgres(tmp_path / "file").start()

"""Processes of training jobs: started without a shell in their own session, found again, ended with their children."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from loguru import logger

from app.core.settings import SECRETS

#: Environment variable of a job's processes that names the job, also in those that left the group (torchrun's workers).
MARK = "GLOSSLINE_JOB"
#: Seconds. A killed process is gone in a moment, unless the kernel blocks it (a stuck disk).
GONE_S = 5.0
_REPOSITORY = Path(__file__).resolve().parents[3]


def start(job_id: str, command: Sequence[str], log: Path, nice: int) -> subprocess.Popen[bytes]:
    """Run `command` in a session of its own; its output is appended to `log`. nice: 0 to 19. Raises OSError."""
    # A process that could print its environment gets no secrets.
    environment = {name: value for name, value in os.environ.items() if name.lower() not in SECRETS}
    environment |= {MARK: job_id, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as sink:
        child = subprocess.Popen(
            list(command),
            cwd=_REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    if nice:
        try:
            psutil.Process(child.pid).nice(nice)
        except psutil.Error as problem:
            logger.debug("job {} keeps its priority: {}", job_id, problem)
    return child


def started_at(pid: int) -> float | None:
    """When the process started, seconds since 1970; None if there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def alive(pid: int, started: float) -> bool:
    """Whether it is still the same process: ids are reused."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 2 and _runs(process)
    except psutil.Error:
        return False


def ask_to_stop(pid: int, started: float) -> None:
    """SIGTERM to the job's first process, which saves and ends its children; sent to all, they would die first."""
    if alive(pid, started):
        os.kill(pid, signal.SIGTERM)


def kill_all(job_id: str) -> int:
    """SIGKILL to every process of the job, and wait until they are gone; returns how many there were."""
    killed = []
    for process in psutil.process_iter():
        try:
            # A zombie has no environment, and nothing left to end.
            if process.environ().get(MARK) == job_id:
                process.kill()
                killed.append(process)
        except psutil.Error:
            continue
    deadline = time.monotonic() + GONE_S
    while any(_runs(process) for process in killed) and time.monotonic() < deadline:
        time.sleep(0.02)
    return len(killed)


def _runs(process: psutil.Process) -> bool:
    """Checked without waiting: the exit status of a child is collected by its Popen."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

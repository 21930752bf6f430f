"""Processes of training jobs: started without a shell in a session of their own, found again, ended with all theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from loguru import logger

#: In the environment of a job's processes: whose they are, also those that left the group (torchrun's workers do).
MARK = "GLOSSLINE_JOB"
#: Not for a process that anybody may ask to print its environment.
_SECRETS = ("DATABASE_URL", "TRAINING_TOKEN")
#: A killed process is gone in a moment, unless the kernel holds it (a stuck disk).
GONE_S = 5.0
_REPOSITORY = Path(__file__).resolve().parents[3]


def start(job_id: str, command: Sequence[str], log: Path, nice: int) -> subprocess.Popen[bytes]:
    """Run `command` in a session of its own; what it says is appended to `log`. nice: 0, or how far it steps back for
    the service. Raises OSError."""
    environment = {name: value for name, value in os.environ.items() if name.upper() not in _SECRETS}
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
    """When the process began, seconds since 1970; None when there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def alive(pid: int, started: float) -> bool:
    """Is it still there, and the same: numbers are used again."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - started) < 2
    except psutil.Error:
        return False


def ask_to_stop(pid: int, started: float) -> None:
    """SIGTERM to the job's first process: it saves and ends its helpers. To all at once, helpers would die under it."""
    if alive(pid, started):
        os.kill(pid, signal.SIGTERM)


def kill_all(job_id: str) -> int:
    """SIGKILL to every process of the job, and wait until they are gone; how many there were."""
    killed = []
    for process in psutil.process_iter():
        try:
            # A zombie tells no environment; nothing is left of it to end.
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
    """Looked at, not waited for: how a child of ours ended is for its Popen to learn."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.services.training_jobs import process

#: Says what it is, then waits; its child leaves the group, as torchrun's workers do.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
names = "DATABASE_URL", "TRAINING_TOKEN", "AUTH_SECRET", "STRIPE_SECRET_KEY"
print(os.getsid(0) == os.getpid(), *(os.environ.get(name) for name in names), child.pid)
time.sleep(600)
"""


def test_a_job_has_a_session_of_its_own_no_secrets_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@db/x")
    for name in ("TRAINING_TOKEN", "AUTH_SECRET", "STRIPE_SECRET_KEY"):
        monkeypatch.setenv(name, "hunter2hunter2hunter2")
    log = tmp_path / "log"
    child = process.start("job-a", [sys.executable, "-c", PARENT], log, nice=5)
    try:
        started = process.started_at(child.pid)
        assert started is not None
        assert process.alive(child.pid, started)
        assert not process.alive(child.pid, started - 60)  # another process of this number
        while not log.read_text().endswith("\n"):
            time.sleep(0.05)
        alone, *secrets, grandchild = log.read_text().split()
        assert (alone, secrets) == ("True", ["None"] * 4)
        assert psutil.Process(child.pid).nice() >= 5
        assert process.kill_all("job-b") == 0
        assert process.kill_all("job-a") == 2
        child.wait(10)
        assert not process.alive(child.pid, started)
        assert not psutil.pid_exists(int(grandchild)) or psutil.Process(int(grandchild)).status() == "zombie"
        process.ask_to_stop(os.getpid(), started)  # not the one that is meant: nothing happens
    finally:
        process.kill_all("job-a")
        child.wait(10)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no such program"):
        process.start("job", [str(tmp_path / "no such program")], tmp_path / "log", nice=0)

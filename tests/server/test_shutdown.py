"""The process ends in bounded time, also when a thread never comes back."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SERVICE = """
import sys, threading, time, uvicorn
from contextlib import asynccontextmanager
from fastapi import FastAPI
from app.server import shutdown
shutdown.EXIT_S = shutdown.SESSIONS_S = shutdown.GRACE_S = shutdown.CLOSING_S = 1.0
hangs = sys.argv[1]

async def drain():
    print("finals", flush=True)

@asynccontextmanager
async def lifespan(app):
    async with shutdown.exiting_in_time():
        with shutdown.draining_first(drain):
            if hangs == "thread":
                threading.Thread(target=threading.Event().wait).start()  # not a daemon: the interpreter waits for it
            print("started", flush=True)
            yield
        if hangs == "loop":
            time.sleep(3600)
        print("closed", flush=True)

uvicorn.run(FastAPI(lifespan=lifespan), port=0, log_config=None)
"""


@pytest.mark.parametrize(
    ("hangs", "number", "code"),
    [
        ("nothing", signal.SIGTERM, -signal.SIGTERM),
        ("thread", signal.SIGTERM, -signal.SIGTERM),  # uvicorn raises the signal again when all is closed
        ("thread", signal.SIGINT, 1),
        ("loop", signal.SIGTERM, 1),
    ],
)
def test_what_hangs_does_not_keep_the_process(hangs: str, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, hangs], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        said, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert said == ("finals\n" if hangs == "loop" else "finals\nclosed\n")
    assert process.returncode == code, errors
    assert ("Timeout" in errors) == (code == 1)

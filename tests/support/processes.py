"""The service as users run it: a uvicorn process and a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Service:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start(log: Path, environment: dict[str, str], *options: str) -> Service:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app.main:app", "--port", str(port), "--loop", "uvloop", *options]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stderr=sink, stdout=sink)
    return Service(process, port, log)


def until(what: Callable[[], bool], seconds: float = 300) -> None:
    """Wait for something that will happen; the limit only keeps a broken test from hanging."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def answers(service: Service) -> bool:
    assert service.process.poll() is None, service.log.read_text()
    try:
        return httpx.get(f"{service.address}/api/health/ready", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port

"""A real Redis of a test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.support.processes import free_port, until
from tests.support.tools import running, tool


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its address; the test skips where redis-server is not installed."""
    port = free_port()
    command = [tool("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]

    def answers() -> bool:
        with redis.Redis(port=port) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    with running(command, folder / "log"):
        until(answers, 60)
        yield f"redis://127.0.0.1:{port}"

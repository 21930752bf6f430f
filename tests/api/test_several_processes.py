"""Two processes of the service with one PostgreSQL and one Redis: what an account may do, it may do once for both."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import websockets

from tests.conftest import fresh_database
from tests.support.media import npz
from tests.support.processes import Service, answers, start, until
from tests.support.redis_server import redis_server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
#: A minute; far below what a test sends, far above what comes back while it runs.
LIMIT = 60


@pytest.fixture(scope="module")
def services(
    tiny_checkpoints: Path, postgres: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Service]]:
    folder = tmp_path_factory.mktemp("processes")
    with redis_server(folder) as redis_url, fresh_database(postgres) as database:
        environment = {
            "CHECKPOINT": "tiny",
            "CHECKPOINT_DIR": str(tiny_checkpoints),
            "DEVICE": "cpu",
            "EXTRACTOR_WORKERS": "1",
            "TRAINING": "false",
            "AUTH_MODE": "required",
            "AUTH_SECRET": "a secret of thirty-two characters or more",
            "DATABASE_URL": database,
            "REDIS_URL": redis_url,
            "REQUESTS_PER_MINUTE": str(LIMIT),
            "SIGN_INS_PER_MINUTE": "1000",
        }
        started = [start(folder / f"log{n}", environment) for n in range(2)]
        try:
            for service in started:
                until(lambda service=service: answers(service))  # type: ignore[misc]
            yield started
        finally:
            for service in started:
                service.process.kill()
                service.process.wait(60)


@pytest_asyncio.fixture(loop_scope="module")
async def clients(services: list[Service]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """One for each process, with the token of a new account."""
    account = {"email": f"{secrets.token_hex(6)}@example.org", "password": "seven quiet herons"}
    async with (
        httpx.AsyncClient(base_url=services[0].address, timeout=120) as one,
        httpx.AsyncClient(base_url=services[1].address, timeout=120) as other,
    ):
        token = (await one.post("/api/auth/register", json=account)).json()["access_token"]
        for client in (one, other):
            client.headers["Authorization"] = f"Bearer {token}"
        yield [one, other]


async def test_requests_are_counted_together(clients: list[httpx.AsyncClient]) -> None:
    got = await asyncio.gather(*(client.get("/api/users/me") for client in clients for _ in range(LIMIT)))
    statuses = [answer.status_code for answer in got]
    assert set(statuses) == {200, 429}
    # The window slides while the test runs: a few more than the limit may fit.
    assert LIMIT - 5 <= statuses.count(200) <= LIMIT * 4 / 3
    refused = next(answer for answer in got if answer.status_code == 429)
    assert refused.json()["code"] == "too_many_requests"


async def test_live_sessions_are_counted_together(services: list[Service], clients: list[httpx.AsyncClient]) -> None:
    """The Free plan has one at once; the ticket of one process opens a socket of the other, once."""
    first, second = (f"ws://127.0.0.1:{service.port}/api/ws/stream" for service in services)
    tickets = [(await clients[0].post("/api/auth/ticket")).json()["ticket"] for _ in range(3)]

    async def ended(url: str) -> tuple[str, int | None]:
        """Code of the error that a session begins with, and of its close frame."""
        async with websockets.connect(url) as socket:
            error: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 60))
            await asyncio.wait_for(socket.wait_closed(), 60)
            return error["code"], socket.close_code

    async with websockets.connect(f"{second}?ticket={tickets[0]}") as socket:
        await socket.send(json.dumps({"type": "start"}))
        assert json.loads(await asyncio.wait_for(socket.recv(), 60))["type"] == "ready"
        assert await ended(f"{first}?ticket={tickets[1]}") == ("plan_limit", 4403)
        assert await ended(f"{first}?ticket={tickets[0]}") == ("unauthenticated", 4401)


async def test_a_key_is_paid_once_at_both(clients: list[httpx.AsyncClient]) -> None:
    files, headers = {"file": ("a.npz", npz(60))}, {"Idempotency-Key": "one"}
    first, again = [await client.post("/api/inference/landmarks", files=files, headers=headers) for client in clients]
    assert (first.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"

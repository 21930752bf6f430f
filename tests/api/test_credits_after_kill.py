"""kill -9 of the service between reserve and settle: after the next start no credit is lost and none was spent twice.

GLOSSLINE_KILLS sets how often; the default keeps the run short.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
import websockets
from sqlalchemy import text

from app.db.database import Database
from tests.api.test_process import Service, answers, start, until
from tests.support.ledger import balance, opened, rows
from tests.support.media import npz
from tests.support.recognisers import performance

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("GLOSSLINE_KILLS", "2"))
#: Clips at once, their length in frames, and what one costs.
CLIPS, FRAMES, PRICE = 3, 450, 18
ACCOUNT = {"email": "ann@example.org", "password": "seven quiet herons"}


@asynccontextmanager
async def serving(log: Path, environment: dict[str, str]) -> AsyncIterator[Service]:
    service = await asyncio.to_thread(start, log, environment)
    try:
        await asyncio.to_thread(until, lambda: answers(service))
        yield service
    finally:
        service.process.kill()
        service.process.wait(60)


async def until_open(database: Database, kind: str, *unless: asyncio.Task[int | None]) -> None:
    """Return when such a reservation is open, or when all of `unless` are done."""
    while kind not in await open_kinds(database) and not (unless and all(task.done() for task in unless)):  # noqa: ASYNC110
        await asyncio.sleep(0.001)  # another process opens it


async def open_kinds(database: Database) -> set[str]:
    return {row[0] for row in await rows(database, "SELECT kind FROM reservations WHERE state = 'open'")}


async def clip(client: httpx.AsyncClient, key: str, body: bytes) -> int | None:
    """The status of the answer; None: the service died before it."""
    try:
        files = {"file": ("a.npz", body)}
        answer = await client.post("/api/inference/landmarks", files=files, headers={"Idempotency-Key": key})
    except httpx.TransportError:
        return None
    return answer.status_code


async def live(service: Service, token: str) -> None:
    """Captions until the service dies."""
    url, points = f"ws://127.0.0.1:{service.port}/api/ws/stream", performance(25)
    try:
        async with websockets.connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
            for second in range(3600):
                header = b"\x01\x03\x00\x00\x00\x00\x00\x00" + (second * 1_000_000).to_bytes(8, "little")
                await socket.send(header + points.astype("<f2").tobytes())
                await asyncio.sleep(0.05)
    except (OSError, websockets.WebSocketException):
        return


async def test_no_credit_is_lost_or_spent_twice(database_url: str, tiny_checkpoints: Path, tmp_path: Path) -> None:
    environment = {
        "CHECKPOINT": "tiny",
        "CHECKPOINT_DIR": str(tiny_checkpoints),
        "DEVICE": "cpu",
        "EXTRACTOR_WORKERS": "1",
        "TRAINING": "false",
        "AUTH_MODE": "required",
        "AUTH_SECRET": "a secret of thirty-two characters or more",
        "ACCESS_TOKEN_MINUTES": "600",
        "DATABASE_URL": database_url,
    }
    body, killed, lived = npz(FRAMES), 0, 0
    answered: set[str] = set()
    unanswered: set[str] = set()
    user, token = None, ""
    async with opened(database_url) as database:
        while killed <= KILLS:
            async with (
                serving(tmp_path / f"log{killed}", environment) as service,
                httpx.AsyncClient(base_url=service.address, timeout=120) as client,
            ):
                if user is None:
                    await client.post("/api/auth/register", json=ACCOUNT)
                    token = (await client.post("/api/auth/sign-in", json=ACCOUNT)).json()["access_token"]
                    user = UUID(str((await rows(database, "SELECT id FROM users"))[0][0]))
                    async with database.session() as session:
                        await session.execute(
                            text("INSERT INTO subscriptions (user_id, plan, source, status)"
                                 " VALUES (:user, 'enterprise', 'admin', 'active')"), {"user": user},
                        )  # fmt: skip
                client.headers["Authorization"] = f"Bearer {token}"
                assert await open_kinds(database) == set(), "the start closes what the dead process left"
                # What got no answer is sent again, and is paid now if it was not before.
                for key in unanswered:
                    assert await clip(client, key, body) == 200
                answered |= unanswered
                debits = await rows(database, "SELECT -amount FROM ledger WHERE kind = 'debit' AND source = 'clip'")
                assert [debit for (debit,) in debits] == [PRICE] * len(answered)
                total, newest, held = await balance(database, user)
                found = await rows(
                    database,
                    "SELECT coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0),"
                    " coalesce(-sum(amount) FILTER (WHERE kind = 'debit'), 0) FROM ledger",
                )
                granted, spent = found[0]
                assert (total, newest, held) == (granted - spent, granted - spent, 0)
                lived = int(spent) - PRICE * len(answered)
                if killed == KILLS:
                    break
                keys = [uuid4().hex for _ in range(CLIPS)]
                talking = asyncio.create_task(live(service, token))
                await until_open(database, "live")
                await asyncio.sleep(1.5)
                sending = {key: asyncio.create_task(clip(client, key, body)) for key in keys}
                await until_open(database, "clip", *sending.values())
                service.process.send_signal(signal.SIGKILL)
                service.process.wait(60)
                await asyncio.gather(talking, *sending.values())
                got = {key for key, task in sending.items() if task.result() == 200}
                answered |= got
                unanswered = set(keys) - got
                if open_left := await open_kinds(database):
                    assert open_left <= {"live", "clip"}
                    killed += "clip" in open_left
    assert lived > 0, "what live sessions were known to have used was paid"

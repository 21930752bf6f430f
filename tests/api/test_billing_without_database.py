"""The database stops in the middle of a live session that is paid, and starts again: nothing is lost."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import httpx
import pytest
import websockets

from app.core.settings import Settings
from app.db.embedded import EmbeddedPostgres
from app.services.billing import admin
from app.services.billing import live_charge as charging
from tests.conftest import database_folder
from tests.support.accounts import client_of, guarded, person, running
from tests.support.ledger import balance
from tests.support.media import npz
from tests.support.problems import assert_problem
from tests.support.recognisers import performance
from tests.support.serving import served

pytestmark = pytest.mark.slow
CLIP = "/api/inference/landmarks"


async def perform(socket: websockets.ClientConnection, begin_s: int, seconds: int) -> None:
    points = performance(25)
    for second in range(begin_s, begin_s + seconds):
        header = b"\x01\x03\x00\x00\x00\x00\x00\x00" + (second * 1_000_000).to_bytes(8, "little")
        await socket.send(header + points.astype("<f2").tobytes())


async def ready(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Return when a clip is answered."""
    async with asyncio.timeout(120):
        while (await client.post(CLIP, files={"file": ("a.npz", npz(20))}, headers=headers)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_a_session_goes_on_without_the_database_and_is_settled_with_it(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charging, "RECORD_S", 1.0)
    with database_folder() as folder:
        server = EmbeddedPostgres(folder)
        address = await asyncio.to_thread(server.start)
        try:
            async with (
                running(guarded(tiny_settings, address)) as app,
                served(app) as host,
                client_of(app) as client,
            ):
                someone = await person(app)
                user = UUID(someone.id)
                await admin.give_plan(app.state.services.credits, user, "pro")
                url = f"ws://{host}/api/ws/stream"
                async with websockets.connect(url, additional_headers=someone.headers) as socket:
                    await perform(socket, 0, 5)
                    while True:
                        event = json.loads(await socket.recv())
                        if event["type"] == "stats" and event["credits_remaining"] == 72_000 - 5:
                            break
                    await asyncio.to_thread(server.stop)
                    await perform(socket, 5, 8)
                    answer = await client.post(CLIP, files={"file": ("a.npz", npz(20))}, headers=someone.headers)
                    assert_problem(answer, 503, "database_unavailable")
                    while True:
                        event = json.loads(await socket.recv())
                        if event["type"] == "stats" and event["credits_remaining"] == 72_000 - 13:
                            break
                        assert event["type"] != "error", event
                    # It ends while the database is away, and is settled when it is back.
                    await socket.send(json.dumps({"type": "stop"}))
                    async with asyncio.timeout(30):
                        while json.loads(await socket.recv())["type"] != "done":
                            pass
                server = EmbeddedPostgres(folder)
                assert await asyncio.to_thread(server.start) == address
                await ready(client, someone.headers)
                async with asyncio.timeout(60):
                    while (await balance(app.state.services.database, user))[2]:  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                total, newest, held = await balance(app.state.services.database, user)
                assert (total, newest, held) == (72_000 - 13 - 1, total, 0)
                assert await app.state.services.credits.check() == 0
        finally:
            await asyncio.to_thread(server.stop)

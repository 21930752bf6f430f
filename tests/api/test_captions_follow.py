"""Captions that others read along, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI

from tests.api.test_captions_ws import Client
from tests.support.problems import assert_problem
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")
SECRET = "a-secret-of-the-client-0123456789"
SESSION = hashlib.sha256(SECRET.encode()).hexdigest()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def host(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as host:
        yield host


async def test_others_read_what_the_client_reads_and_nothing_more(host: str, application: FastAPI) -> None:
    followers = application.state.services.captions.followers
    read: list[tuple[str, str]] = []

    async def follow() -> None:
        name = ""
        async with (
            httpx.AsyncClient(timeout=60) as http,
            http.stream("GET", f"http://{host}/api/live/follow", params={"session": SESSION}) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                kind, _, value = line.partition(": ")
                if kind == "event":
                    name = value
                elif kind == "data":
                    read.append((name, value))
                    if name == "final":
                        return

    following = asyncio.ensure_future(follow())
    async with asyncio.timeout(60):
        while followers.count == 0:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.01)
        async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
            client = Client(socket)
            await client.send(type="start", follow=SECRET)
            await client.perform(60)
            await client.send(type="stop")
            own = [json.loads(text) async for text in socket]
        await following
        while followers.count:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.01)
    [said] = [event for event in own if event["type"] == "final"]
    assert {name for name, _ in read} <= {"partial", "final"}
    assert json.loads(read[-1][1])["sentence"] == said["sentence"]
    assert not any(SECRET in value for _, value in read)
    ready = own[0]
    assert ready["type"] == "ready"
    assert "follow" not in ready["config"]
    assert ready["history_id"] is None
    assert not any(ready[secret] in value for secret in ("session_id", "resume_token") for _, value in read)


async def test_an_id_that_is_none(client: httpx.AsyncClient) -> None:
    for wrong in ("", "0" * 63, "G" * 64, SECRET):
        assert_problem(await client.get("/api/live/follow", params={"session": wrong}), 422, "invalid_request")


async def test_a_secret_that_can_be_guessed_is_refused(host: str) -> None:
    async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
        await socket.send(json.dumps({"type": "start", "follow": "1234"}))
        event = json.loads(await socket.recv())
    assert event["type"] == "error"
    assert "follow" in event["message"]

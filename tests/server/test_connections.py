"""Deadlines and places of connections, with applications that read nothing or answer without end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast
from unittest.mock import Mock

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.network import AddressList
from app.core.settings import Settings
from app.server import connections as connections_module
from app.server import http as http_module
from app.server.connections import Connection, Connections
from app.server.http import BoundedHttp

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


def changed(**settings: float) -> Settings:
    return Settings(_env_file=None).model_copy(update=settings)  # unchecked: deadlines may lie in the past


@asynccontextmanager
async def serving(app: ASGIApp, **settings: float) -> AsyncIterator[tuple[int, Connections]]:
    """Port and connections of a server for this application alone."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None)
    config.load()
    table = Connections(changed(**settings), AddressList())
    config.http_protocol_class = cast(Any, partial(BoundedHttp, connections=table))
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], table
    finally:
        server.should_exit = server.force_exit = True
        await running


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(3600)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        await asyncio.sleep(0)


@pytest.mark.parametrize("limits", [{"upload_idle_timeout_s": -4.5}, {"upload_timeout_s": -4.5}], ids=["idle", "whole"])
async def test_a_body_that_the_application_does_not_read_has_deadlines(limits: dict[str, float]) -> None:
    """5 s after those at which the application would have answered."""
    async with serving(silent, **limits) as (port, _), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_body_without_end_after_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "LINGER_S", 0.5)
    async with serving(answer) as (port, table), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        while len(table):
            writer.write(b"a")
            await asyncio.sleep(0.1)
        writer.close()


async def test_an_answer_that_is_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "UNREAD_S", 0.5)
    async with serving(endless) as (port, table), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        while len(table):  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.1)
        writer.close()


def connection(peer: str, unfinished: bool, last_data: float = 0.0) -> Connection:
    made = Mock(peer=peer, unfinished=unfinished, last_data=last_data)
    return cast(Connection, made)


def aborted(connections: list[Connection]) -> list[int]:
    return [index for index, one in enumerate(connections) if cast(Mock, one).transport.abort.called]


async def test_with_all_places_taken_the_request_that_has_been_silent_longest_is_closed() -> None:
    table = Connections(changed(max_connections=8), AddressList())
    held = [connection(f"10.0.0.{index}", index in (2, 3, 8), 10.0 - index) for index in range(9)]
    for one in held:
        table.join(one)
    assert aborted(held) == [3]
    assert len(table) == 8


async def test_one_address_holds_three_quarters_of_the_places_at_most() -> None:
    table = Connections(changed(max_connections=8), AddressList(["10.0.0.9"]))
    held = [connection("10.0.0.1", False) for _ in range(7)]
    for one in held:
        table.join(one)
    assert aborted(held) == [6]  # complete requests and WebSockets go on; the newcomer does not
    others = Connections(changed(max_connections=8), AddressList(["10.0.0.9"]))
    proxied = [connection("10.0.0.9", False) for _ in range(8)]
    for one in proxied:
        others.join(one)
    assert aborted(proxied) == []

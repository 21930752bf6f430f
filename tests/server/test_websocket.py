"""Frames that the application never sees: fragments and pings without end; and sessions that send no frames."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from contextlib import suppress

import httpx
import pytest
import websockets

from app.server import connections, websocket
from app.server.websocket import BURST_FRAMES, MAX_FRAGMENTS
from app.services.captions import hub

pytestmark = pytest.mark.asyncio(loop_scope="session")
UPGRADE = (
    b"GET /ws/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def frame(opcode: int, payload: bytes, final: bool) -> bytes:
    return struct.pack("BB", final << 7 | opcode, 0x80 | len(payload)) + bytes(4) + payload


async def raw(host: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(*host.split(":"), limit=1024)
    writer.write(UPGRADE)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def flooded(writer: asyncio.StreamWriter, block: bytes, limit: int, seconds: float) -> int:
    """Bytes that went out before the service closed, stopped reading for `seconds`, or had `limit`."""
    sent = 0
    try:
        while sent < limit:
            writer.write(block)
            await asyncio.wait_for(writer.drain(), seconds)
            sent += len(block)
    except (ConnectionError, TimeoutError):
        pass
    writer.transport.abort()
    return sent


async def test_empty_fragments_do_not_starve_the_service(host: str) -> None:
    _, writer = await raw(host)
    writer.write(frame(2, b"", False))
    flooding = asyncio.create_task(flooded(writer, frame(0, b"", False) * 5000, 64 << 20, 3))
    async with httpx.AsyncClient(timeout=60) as client:
        while not flooding.done():
            assert (await client.get(f"http://{host}/api/health/live")).status_code == 200
            await asyncio.sleep(0.05)
    assert await flooding < 32 << 20


async def test_a_message_of_too_many_fragments_ends_the_connection(host: str) -> None:
    reader, writer = await raw(host)
    writer.write(frame(1, b"", False) + frame(0, b"", False) * MAX_FRAGMENTS)
    async with asyncio.timeout(60):
        while (opcode := (await read_frame(reader))[0]) != 8:
            assert opcode == 1  # events of the session
    writer.transport.abort()


@pytest.mark.parametrize("opcode", [0, 9, 10], ids=["fragments", "pings", "pongs"])
async def test_frames_that_come_too_fast_are_read_more_slowly(
    host: str, monkeypatch: pytest.MonkeyPatch, opcode: int
) -> None:
    monkeypatch.setattr(websocket, "BURST_FRAMES", 50.0)
    monkeypatch.setattr(websocket, "FRAMES_PER_S", 200.0)
    reader, writer = await raw(host)
    if opcode == 0:
        writer.write(frame(1, b"", False))
    began = time.monotonic()
    writer.write(frame(opcode, b"x" * 120, opcode != 0) * 600 + frame(9, b"last", True))
    async with asyncio.timeout(60):
        while await read_frame(reader) != (10, b"last"):
            pass
    assert time.monotonic() - began > 2  # 600 frames less the burst and one piece, at 200 a second
    writer.transport.abort()


async def test_unread_pongs_end_the_connection_whatever_else_would(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "BURST_FRAMES", 1e9)
    monkeypatch.setattr(connections, "UNREAD_S", 3600.0)
    _, writer = await raw(host)
    assert await flooded(writer, frame(9, b"p" * 125, True) * 500, 40 << 20, 30) < 32 << 20


async def test_a_client_that_pings_and_does_not_read_is_cut_off(host: str) -> None:
    _, writer = await raw(host)
    assert await flooded(writer, frame(9, b"p" * 125, True) * 500, 256 << 20, 30) < 64 << 20


async def test_of_a_burst_of_frames_nothing_is_lost(host: str) -> None:
    reader, writer = await raw(host)
    pings = int(BURST_FRAMES) + 300
    answers = asyncio.create_task(count_pongs(reader, pings))
    for number in range(pings):
        writer.write(frame(9, struct.pack("<I", number), True))
    await writer.drain()
    assert await asyncio.wait_for(answers, 60) == list(range(pings))
    writer.transport.abort()


async def count_pongs(reader: asyncio.StreamReader, wanted: int) -> list[int]:
    numbers: list[int] = []
    while len(numbers) < wanted:
        opcode, payload = await read_frame(reader)
        if opcode == 10:
            numbers.append(struct.unpack("<I", payload)[0])
    return numbers


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, length = await reader.readexactly(2)
    size = length if length < 126 else struct.unpack(">H", await reader.readexactly(2))[0]
    return first & 15, await reader.readexactly(size)


async def test_a_message_in_many_fragments_arrives(host: str) -> None:
    text = json.dumps({"type": "ping", "fill": os.urandom(400).hex()})

    async with websockets.connect(f"ws://{host}/ws/stream") as socket:
        await socket.send([text[i : i + 2] for i in range(0, len(text), 2)])
        async with asyncio.timeout(30):
            while json.loads(await socket.recv())["type"] not in ("pong", "error"):
                pass


async def test_a_session_without_frames_gives_its_place_to_a_newcomer(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "SILENT_S", 1.0)
    url = f"ws://{host}/ws/stream"
    async with websockets.connect(url) as first, websockets.connect(url) as second, asyncio.timeout(60):
        for socket in (first, second):
            await socket.send('{"type": "start"}')
            assert json.loads(await socket.recv())["type"] == "ready"
        await asyncio.sleep(1.2)
        await second.send(json.dumps({"type": "landmarks", "points": [[0.5, 0.5, 1.0]] * 75}))
        await first.send('{"type": "ping"}')
        await asyncio.sleep(0.2)
        async with websockets.connect(url) as third:
            await third.send('{"type": "start"}')
            assert json.loads(await third.recv())["type"] == "ready"
            await first.wait_closed()
            assert first.close_code == 4408
            await second.send('{"type": "ping"}')
            while json.loads(await second.recv())["type"] != "pong":
                pass


async def test_pings_alone_do_not_keep_a_session_open(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "NO_FRAMES_S", 1.0)
    # The pongs are not read here, and must not keep the library from reading the close behind them.
    async with websockets.connect(f"ws://{host}/ws/stream", max_queue=None) as socket, asyncio.timeout(60):
        with suppress(websockets.ConnectionClosed):
            while True:
                await socket.send('{"type": "ping"}')
                await asyncio.sleep(0.1)
        assert socket.close_code == 4408

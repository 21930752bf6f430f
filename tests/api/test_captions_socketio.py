"""The Socket.IO door, spoken to by the public Python client over a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
import socketio
from fastapi import FastAPI

from app.api.captions_socketio import MAX_PACKET, SocketIODoor, _command
from app.core.errors import MalformedMessage
from app.pipeline.keypoints import NUM_KEYPOINTS
from app.services.captions.commands import Flush, Landmarks, Picture
from tests.support.media import jpeg
from tests.support.recognisers import performance
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as host:
        yield f"http://{host}"


class Client:
    def __init__(self, sio: socketio.AsyncClient) -> None:
        self.sio = sio
        self.heard: list[tuple[str, Any]] = []
        self.gone = asyncio.Event()
        self._news = asyncio.Event()

        @sio.on("*")
        async def _(event: str, content: Any) -> None:
            self.heard.append((event, content))
            self._news.set()

        @sio.on("disconnect")
        async def _(*reason: Any) -> None:
            self.gone.set()

    def captions(self, kind: str) -> list[dict[str, Any]]:
        return [content for event, content in self.heard if event == "caption" and content["type"] == kind]

    def predictions(self) -> list[dict[str, Any]]:
        return [content for event, content in self.heard if event == "prediction"]

    async def until(self, what: Any) -> None:
        async with asyncio.timeout(8):
            while not what():
                self._news.clear()
                await self._news.wait()

    async def caption(self, kind: str) -> dict[str, Any]:
        await self.until(lambda: self.captions(kind))
        return self.captions(kind)[-1]


@asynccontextmanager
async def connected(address: str, **options: Any) -> AsyncIterator[Client]:
    sio = socketio.AsyncClient(reconnection=False)
    client = Client(sio)
    await sio.connect(address, **options)
    try:
        yield client
    finally:
        await sio.disconnect()


async def test_a_picture_as_the_simplest_client_sends_it_is_answered_by_a_prediction(address: str) -> None:
    picture = base64.b64encode(jpeg(64, 48)).decode()
    async with connected(address) as client:
        await client.until(lambda: ("status", {"message": "ready"}) in client.heard)
        for image in (picture, f"data:image/jpeg;base64,{picture}", jpeg(64, 48)):  # text, data: URL, binary
            await client.sio.emit("frame", {"image": image})
        await client.until(lambda: len(client.predictions()) == 3)
        await client.sio.emit("frame", {"data": picture})
        await client.until(lambda: len(client.predictions()) == 4)
        assert client.predictions()[0] == {"label": "none", "score": 0.0}
        await client.sio.emit("stop")
        usage = (await client.caption("done"))["usage"]
    assert (usage["received"], usage["used"], usage["dropped"]) == (4, 4, 0)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_every_frame_gets_its_prediction_and_the_sentence_its_captions(address: str, transport: str) -> None:
    points = performance(60)
    async with connected(address, transports=[transport]) as client:
        await client.caption("ready")
        await client.sio.emit("start", {"fps": 25})
        await client.until(lambda: len(client.captions("ready")) == 2)  # a start still counts before the first frame
        for i, frame in enumerate(points):
            await client.sio.emit("landmarks", {"points": frame.tolist()})
            await client.until(lambda i=i: len(client.predictions()) > i - 30)  # as a camera would, not all at once
        await client.until(lambda: len(client.predictions()) == 60)
        await client.sio.emit("stop", {})
        await client.caption("done")
        await asyncio.wait_for(client.gone.wait(), 10)
    for prediction in client.predictions():
        assert set(prediction) == {"label", "score"}
        assert (prediction["label"] == "none") == (prediction["score"] < 0.5)
    captions = [content for event, content in client.heard if event == "caption"]
    begun = max(i for i, content in enumerate(captions) if content["type"] == "ready")
    numbers = [content["seq"] for content in captions[begun:]]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(
    ("event", "content", "code"),
    [
        ("frame", {"image": "!!"}, "invalid_frame"),
        ("frame", {"image": b"no jpeg"}, "invalid_frame"),
        ("frame", {"image": b""}, "invalid_frame"),
        ("frame", {"image": 7}, "invalid_message"),
        ("frame", "picture", "malformed_message"),
        ("frame", None, "invalid_message"),
        ("landmarks", {"points": [[0, 0, 0]]}, "invalid_landmarks"),
        ("start", {"fps": -1}, "bad_start"),
        ("dance", {}, "unknown_type"),
        ("message", b"short", "malformed_message"),
    ],
)
async def test_a_bad_event_is_named_and_the_session_goes_on(
    address: str, event: str, content: object, code: str
) -> None:
    async with connected(address) as client:
        await client.caption("ready")
        await client.sio.emit(event, content)
        error = await client.caption("error")
        assert (error["code"], error["fatal"]) == (code, False)
        await client.sio.emit("ping")
        await client.caption("pong")


async def nobody_inside(application: FastAPI) -> None:
    async with asyncio.timeout(10):
        while application.state.services.captions.streams.in_use:  # noqa: ASYNC110 - looks at state that has no event of its own
            await asyncio.sleep(0.01)


async def test_no_room_is_said_at_the_door(address: str, application: FastAPI) -> None:
    await nobody_inside(application)
    streams = application.state.services.captions.streams
    streams.in_use = streams.limit
    try:
        sio = socketio.AsyncClient(reconnection=False)
        said: list[dict[str, Any]] = []
        sio.on("connect_error", said.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await sio.connect(address)
        assert "live sessions are open" in said[0]["message"]
        assert said[0]["data"]["code"] == "full"
    finally:
        streams.in_use = 0


async def test_a_client_that_leaves_without_a_word_frees_its_place(address: str, application: FastAPI) -> None:
    await nobody_inside(application)
    async with connected(address, transports=["websocket"]) as client:
        await client.caption("ready")
        assert application.state.services.captions.streams.in_use == 1
        await client.sio.eio.ws.close()
    await nobody_inside(application)


async def test_a_page_of_another_host_is_refused(address: str) -> None:
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with connected(address, headers={"Origin": "https://evil.example"}):
            pass
    async with connected(address, headers={"Origin": address}) as client:
        await client.caption("ready")


@pytest.mark.parametrize(
    "packets",
    [
        ["42"],
        ["42{}"],
        ["42[[1]]"],
        ["42[7]"],
        ['42["frame"'],
        ["42" + "[" * 100_000],
        ["9"],
        ["x"],
        [""],
        ["4"],
        ["49"],
        ["b!!"],
        ["4" + "[" * 100_000],
        ['42["connect",{}]', '42["disconnect"]'],
        ["40", "40", "40/other,"],
        ['451000000-["frame",{"image":{"_placeholder":true,"num":0}}]', b"x", b"x", b"x"],
        ['451-["frame",{"image":{"_placeholder":true,"num":7}}]', b"x"],
        [b"x" * 100],
        ["42" + json.dumps(["frame", {"image": "A" * (MAX_PACKET + 1)}])],
    ],
)
async def test_broken_packets_end_at_most_their_own_connection(
    address: str, application: FastAPI, packets: list[str | bytes]
) -> None:
    await nobody_inside(application)
    async with connected(address) as other, aiohttp.ClientSession() as http:
        await other.caption("ready")
        async with http.ws_connect(f"{address}/socket.io/?EIO=4&transport=websocket", max_msg_size=0) as raw:
            await raw.receive_str()
            await raw.send_str("40")
            await raw.receive_str()
            for packet in packets:
                if raw.closed:
                    break
                if isinstance(packet, bytes):
                    await raw.send_bytes(packet)
                else:
                    await raw.send_str(packet)
            await asyncio.sleep(0.1)
        await other.sio.emit("ping")
        await other.caption("pong")
        assert application.state.services.captions.streams.in_use <= 2
    await nobody_inside(application)


@pytest.mark.parametrize("body", [b"42", b"x", b"\xff\xfe", b"42[" * 5000, b"\x1e" * 100, b"4" + b"[" * 100_000])
async def test_broken_polls_are_answered(address: str, body: bytes) -> None:
    async with aiohttp.ClientSession() as http:
        opened = await (await http.get(f"{address}/socket.io/?EIO=4&transport=polling")).text()
        url = f"{address}/socket.io/?EIO=4&transport=polling&sid={json.loads(opened[1:])['sid']}"
        assert (await http.post(url, data=body)).status in (200, 400)
        for bad in ("sid=nobody", "EIO=3", "transport=pigeon", "sid=%ff"):
            assert (await http.get(f"{address}/socket.io/?{bad}")).status == 400


async def test_a_request_to_a_session_that_has_just_ended_is_refused(address: str, application: FastAPI) -> None:
    (door,) = [route.app for route in application.routes if isinstance(getattr(route, "app", None), SocketIODoor)]
    async with aiohttp.ClientSession() as http:
        for ask in (http.post, http.get):
            opened = await (await http.get(f"{address}/socket.io/?EIO=4&transport=polling")).text()
            sid = json.loads(opened[1:])["sid"]
            door._server.eio.sockets[sid].closed = True  # and not yet swept away
            answer = await ask(f"{address}/socket.io/?EIO=4&transport=polling&sid={sid}", data=b"40")
            assert answer.status == 400
            assert "disconnected" in await answer.text()


async def test_events_are_the_messages_of_the_other_doors() -> None:
    assert _command("frame", ({"image": b"jpeg", "timestamp": 40},), {}) == Picture(b"jpeg", 40_000)
    assert isinstance(_command("flush", (), {}), Flush)
    points = np.zeros((NUM_KEYPOINTS, 3)).tolist()
    assert isinstance(_command("landmarks", ({"points": points},), {}), Landmarks)
    with pytest.raises(MalformedMessage):
        _command("frame", ([],), {})


async def test_an_event_of_more_elements_than_a_message_has_ends_its_connection(address: str) -> None:
    """It is not parsed: the connection ends, where another bad event would be named."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{address}/socket.io/?EIO=4&transport=websocket") as raw,
        asyncio.timeout(30),
    ):
        await raw.receive_str()
        await raw.send_str("40")
        await raw.send_str('42["frame",{"image":"","more":[' + "0," * 20_000 + "0]}]")
        said = [message.data async for message in raw]
    assert not any(isinstance(text, str) and "invalid_frame" in text for text in said)
    assert raw.closed

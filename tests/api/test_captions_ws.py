"""Live captions over a real socket, with the tiny recogniser: what is said may be nonsense, how it is said may not."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import websockets
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from app.services.conversation import conversation
from tests.support.events import long_partial
from tests.support.media import jpeg
from tests.support.recognisers import performance
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")
Event = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as host:
        yield f"ws://{host}/api/ws/stream"


async def empty(application: FastAPI) -> None:
    """Nothing of the tests before: clients that have left keep their places until the service has read their pictures,
    and those that broke off may come back."""
    hub = application.state.services.captions
    async with asyncio.timeout(60):
        while hub.streams.in_use:  # noqa: ASYNC110 - no event of its own
            await asyncio.sleep(0.01)
    for session_id in list(hub._entries):
        await hub.drop(session_id)


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def room(application: FastAPI) -> None:
    await empty(application)


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.events: list[Event] = []

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def landmarks(self, points: np.ndarray, time_us: int, kind: int = 3, version: int = 1) -> None:
        header = struct.pack("<BBHIQ", version, kind, 0, 0, time_us)
        await self.socket.send(header + points.astype("<f2").tobytes())

    async def picture(self, jpeg: bytes, time_us: int) -> None:
        await self.socket.send(struct.pack("<BBHIQ", 1, 1, 0, 0, time_us) + jpeg)

    async def perform(self, frames: int, start_us: int = 0, seed: int = 0) -> None:
        points = performance(frames, seed)
        for i in range(0, frames, 8):
            await self.landmarks(points[i : i + 8], start_us + i * 40_000)

    async def until(self, kind: str) -> Event:
        """The next event of this kind; what comes before is kept in `events`."""
        async with asyncio.timeout(20):
            while True:
                event: Event = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def closed(self) -> int | None:
        try:
            async with asyncio.timeout(20):
                while True:
                    self.events.append(json.loads(await self.socket.recv()))
        except websockets.ConnectionClosed:
            return self.socket.close_code


@asynccontextmanager
async def connected(address: str, **options: Any) -> AsyncIterator[Client]:
    async with websockets.connect(address, **options) as socket:
        yield Client(socket)


async def test_a_whole_session(address: str) -> None:
    async with connected(address, subprotocols=["glossline.v1"]) as client:
        assert client.socket.subprotocol == "glossline.v1"
        await client.send(type="start", targets=["en"], endpoint_ms=2000)
        ready = await client.until("ready")
        assert ready["config"]["endpoint_ms"] == 2000
        assert ready["model"]["glosses"] == 5
        await client.perform(120)
        await client.send(type="stop")
        done = await client.until("done")
        assert await client.closed() == 1000
    assert done["usage"]["received"] == done["usage"]["used"] == 120
    assert done["usage"]["dropped"] == 0
    seqs = [event["seq"] for event in client.events]
    assert seqs == sorted(set(seqs))
    spoken = [event for event in client.events if event["type"] in ("partial", "final")]
    assert spoken
    for event in spoken:
        assert event["gloss_text"] == " ".join(g["gloss"] for g in event["gloss"])
        assert event["text"] == {"en": event["sentence"], "es": None}
        assert 0 <= event["confidence"] <= 1
        assert event["attention"] == {"rgb": 0.0, "pose": 1.0}  # the tiny recogniser looks at no pictures
    finals = [event for event in spoken if event["type"] == "final"]
    assert [event["segment"] for event in finals] == list(range(len(finals)))
    assert all(g["final"] for event in finals for g in event["gloss"])


async def test_without_a_start_the_defaults_apply(address: str) -> None:
    async with connected(address) as client:
        await client.send(type="landmarks", points=performance(1)[0].tolist(), timestamp=0)
        config = (await client.until("ready"))["config"]
        assert (config["endpoint_ms"], config["sign_language"]) == (1200, "ase")


async def test_pictures_are_read(address: str) -> None:
    async with connected(address) as client:
        picture = base64.b64encode(jpeg(160, 120)).decode()
        for i, name in enumerate(("data", "image", "frame")):
            await client.send(type="frame", timestamp=i * 40, **{name: picture})
        await client.socket.send(jpeg(160, 120))  # a JPEG alone
        await client.send(type="stop")
        usage = (await client.until("done"))["usage"]
    assert (usage["received"], usage["used"], usage["dropped"]) == (4, 4, 0)
    assert not [event for event in client.events if event["type"] == "error"]


async def test_what_a_start_asks_for_and_is_not_there_is_a_warning(address: str) -> None:
    async with connected(address) as client:
        await client.send(type="start", save=True, targets=["en", "es"])
        await client.send(type="stop")
        await client.until("done")
    assert [e["code"] for e in client.events if e["type"] == "warning"] == ["not_available", "no_translation"]


async def test_landmarks_of_pictures_come_back_where_they_were_asked_for(address: str) -> None:
    picture = base64.b64encode(jpeg(160, 120)).decode()
    for wanted in (True, False):
        async with connected(address) as client:
            await client.send(type="start", landmarks=wanted)
            await client.perform(16)  # landmarks of the client's own are not sent back
            for i in range(3):
                await client.send(type="frame", data=picture, timestamp=1000 + i * 40)
            await client.send(type="stop")
            await client.until("done")
        shown = [event for event in client.events if event["type"] == "landmarks"]
        assert bool(shown) == wanted
        for event in shown:
            assert np.shape(event["points"]) == (75, 3)
            assert event["at_ms"] >= 640


async def test_a_start_that_comes_late_still_counts_while_no_frame_has_come(address: str) -> None:
    async with connected(address) as client:
        assert (await client.until("ready"))["config"]["endpoint_ms"] == 1200  # after a second of silence
        await client.send(type="start", endpoint_ms=600)
        assert (await client.until("ready"))["config"]["endpoint_ms"] == 600
        await client.perform(40)
        await client.send(type="start", endpoint_ms=700)
        assert (await client.until("error"))["code"] == "bad_start"
        await client.send(type="stop")
        assert (await client.until("done"))["usage"]["used"] == 40


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("not json", "malformed_message"),
        ("[1]", "malformed_message"),
        ("{}", "malformed_message"),
        ('{"type": 3}', "malformed_message"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": "frame"}', "invalid_message"),
        ('{"type": "frame", "data": "!!"}', "invalid_frame"),
        ('{"type": "frame", "data": "aGVsbG8="}', "invalid_frame"),
        ('{"type": "landmarks", "points": [[0, 0, 0]]}', "invalid_landmarks"),
        ('{"type": "landmarks", "points": [' + ",".join(["[NaN,0,0]"] * 75) + "]}", "invalid_landmarks"),
        ('{"type": "landmarks", "points": [' + ",".join(["[99,0,0]"] * 75) + "]}", "invalid_landmarks"),
        ('{"type": "start"}', "bad_start"),
        (b"short", "malformed_message"),
        (struct.pack("<BBHIQ", 2, 3, 0, 0, 0), "malformed_message"),
        (struct.pack("<BBHIQ", 1, 9, 0, 0, 0), "malformed_message"),
        (struct.pack("<BBHIQ", 1, 1, 0, 0, 0), "invalid_frame"),
        (struct.pack("<BBHIQ", 1, 3, 0, 0, 0) + b"x" * 451, "invalid_landmarks"),
        (struct.pack("<BBHIQ", 1, 3, 0, 0, 0) + b"\0" * 450 * 101, "invalid_landmarks"),
    ],
)
async def test_a_bad_message_is_named_and_the_session_goes_on(address: str, message: str | bytes, code: str) -> None:
    async with connected(address) as client:
        await client.send(type="start")
        await client.socket.send(message)
        error = await client.until("error")
        assert (error["code"], error["fatal"]) == (code, False)
        assert len(error["message"]) > 15
        await client.send(type="ping")
        await client.until("pong")


def _hostile() -> st.SearchStrategy[str | bytes]:
    """Messages of every kind, good ones among them."""
    header = st.builds(
        lambda *fields: struct.pack("<BBHIQ", *fields),
        st.sampled_from([0, 1, 1, 1, 2]),
        st.integers(0, 4),
        st.integers(0, 2**16 - 1),
        st.integers(0, 2**32 - 1),
        st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 10_000_000)),
    )
    numbers = st.sampled_from([0.5, 0.0, -0.1, 9.0, float("nan"), float("inf")])
    landmarks = st.tuples(numbers, st.integers(0, 3)).map(lambda v: np.full((v[1], 75, 3), v[0], "<f2").tobytes())
    pictures = st.sampled_from([b"", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBPVP8 ", jpeg(32, 32), jpeg(32, 32)[:200]])
    words = st.sampled_from(
        ["", "[]", "{}", "null", '{"type": 7}', '{"type": "dance"}', '{"type": "start"}', '{"type": "flush"}',
         '{"type": "pause"}', '{"type": "pause", "paused": false}', '{"type": "ack", "seq": 99999}', '{"type": "ping"}',
         '{"type": "ack", "seq": -1}', '{"type": "frame", "data": "AAAA"}', '{"type": "frame"}',
         '{"type": "landmarks", "points": [[NaN]], "timestamp": 1e400}']
    )  # fmt: skip
    binary = st.tuples(header, st.one_of(landmarks, pictures, st.binary(max_size=40))).map(b"".join)
    return st.one_of(binary, words, st.text(max_size=20), st.binary(max_size=20))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_hostile(), max_size=40))
async def test_whatever_a_client_sends_it_is_answered_and_others_go_on(
    address: str, application: FastAPI, messages: list[str | bytes]
) -> None:
    await empty(application)
    async with connected(address) as other, connected(address) as client:
        await other.send(type="start")
        await other.until("ready")
        for message in messages:
            await client.socket.send(message)
        await client.send(type="ping")
        await client.until("pong")
        for event in client.events:
            assert event["type"] in {"ready", "partial", "final", "error", "warning", "pong", "stats"}
            assert event["type"] != "error" or (event["code"] and len(event["message"]) > 10 and not event["fatal"])
        await other.send(type="ping")
        await other.until("pong")


@pytest.mark.parametrize("message", ["not json", b"short", '{"type": "frame", "data": "!!"}'])
async def test_a_bad_first_message_is_named_too_and_the_defaults_apply(address: str, message: str | bytes) -> None:
    async with connected(address) as client:
        await client.socket.send(message)
        await client.until("ready")
        error = await client.until("error")
        assert not error["fatal"]
        await client.send(type="stop")
        await client.until("done")


async def test_capture_times_that_go_back_are_refused_and_jumps_end_the_sentence(address: str) -> None:
    async with connected(address) as client:
        await client.send(type="start")
        await client.landmarks(performance(1), 5_000_000)
        await client.landmarks(performance(1), 4_900_000)
        assert (await client.until("error"))["code"] == "bad_timestamp"
        await client.landmarks(performance(1), 900_000_000_000)
        assert (await client.until("warning"))["code"] == "gap"
        await client.send(type="stop")
        usage = (await client.until("done"))["usage"]
    assert (usage["received"], usage["dropped"]) == (3, 1)


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ({"sign_language": "gsg"}, "sign_language"),
        ({"endpoint_ms": 5}, "endpoint_ms"),
        ({"window": 64, "stride": 100}, "stride"),
        ({"resume": {"session_id": "nobody", "token": "x"}}, "no such session"),
        ({"resume": {"session_id": "nobody", "token": "é"}}, "no such session"),
    ],
)
async def test_a_start_that_cannot_be_is_refused(address: str, start: Event, says: str) -> None:
    async with connected(address) as client:
        await client.send(type="start", **start)
        assert await client.closed() == 4400
    assert client.events[-1]["code"] in ("bad_start", "unknown_session")
    assert client.events[-1]["fatal"]
    assert says in client.events[-1]["message"]


async def test_a_resume_token_that_is_not_ascii_is_refused(address: str) -> None:
    async with connected(address) as client, connected(address) as other:
        await client.send(type="start")
        session_id = (await client.until("ready"))["session_id"]
        await other.send(type="start", resume={"session_id": session_id, "token": "é"})
        assert await other.closed() == 4400
        assert other.events[-1]["code"] == "unknown_session"


async def test_a_message_that_is_too_large_ends_the_session(address: str) -> None:
    async with connected(address) as client:
        await client.send(type="start")
        await client.until("ready")
        await client.socket.send(b"\1" * (1 << 20 | 1))
        assert await client.closed() == 1009


async def test_a_client_that_sends_too_fast_is_told_so(address: str) -> None:
    async with connected(address) as client:
        await client.send(type="start")
        for i in range(600):
            await client.landmarks(performance(1), i * 40_000)
        assert await client.closed() == 4429
    assert client.events[-1]["code"] == "too_fast"


async def test_no_more_sessions_than_there_is_room_for(address: str, application: FastAPI) -> None:
    hub = application.state.services.captions
    places = hub._settings.max_clients
    clients = [await websockets.connect(address) for _ in range(places)]
    try:
        for socket in clients:
            await socket.send('{"type": "start"}')
            assert json.loads(await socket.recv())["type"] == "ready"
        async with connected(address) as late:
            await late.send(type="start")
            assert await late.closed() == 1013
        assert late.events[-1]["code"] == "full"
    finally:
        for socket in clients:
            await socket.send('{"type": "stop"}')
            await socket.close()


async def test_a_page_of_another_host_may_not_open_a_socket(address: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        await websockets.connect(address, origin="https://evil.example")
    assert refused.value.response.status_code == 403
    async with websockets.connect(address, origin=address.replace("ws://", "http://").partition("/api")[0]):
        pass


async def test_a_lost_connection_is_resumed_without_losing_a_final(address: str) -> None:
    finals: list[int] = []
    seen = 0
    at_us = 0
    async with connected(address) as client:
        await client.send(type="start")
        ready = await client.until("ready")
        client.socket.transport.abort()
    resume = {"session_id": ready["session_id"], "token": ready["resume_token"]}
    for turn in range(50):
        async with connected(address) as client:
            await client.send(type="start", resume={**resume, "last_seq": seen})
            assert (await client.until("ready"))["session_id"] == ready["session_id"]
            await client.perform(40, at_us, seed=turn)
            at_us += 1_600_000
            if turn % 3 == 0:  # gone in the middle of a sentence
                client.socket.transport.abort()
                continue
            await client.send(type="flush")
            if turn % 3 == 1:  # gone before anything could arrive
                client.socket.transport.abort()
                continue
            await client.send(type="ping")
            await client.until("pong")
            for event in client.events:
                seen = max(seen, event["seq"])
                finals += [event["segment"]] if event["type"] == "final" else []
            client.socket.transport.abort()
    async with connected(address) as client:
        await client.send(type="start", resume={**resume, "last_seq": seen})
        await client.send(type="stop")
        done = await client.until("done")
        finals += [event["segment"] for event in client.events if event["type"] == "final"]
    assert finals == list(range(done["usage"]["segments"]))
    assert len(finals) > 1  # how many there are, the speed of the machine decides
    async with connected(address) as client:
        await client.send(type="start", resume={**resume, "last_seq": 0})
        assert await client.closed() == 4400


async def test_a_client_that_never_reads_costs_little_and_is_disconnected(
    address: str, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "SEND_S", 1.0)
    hub = application.state.services.captions
    others = set(hub._entries)
    async with connected(address, max_queue=1, close_timeout=1) as client:
        await client.send(type="start")
        await client.until("ready")
        (session,) = [entry.session for name, entry in hub._entries.items() if name not in others]
        sent = 0
        async with asyncio.timeout(60):
            while session.id in hub._entries:
                sent += 1
                session.outbox.put(long_partial(sent, 1000))
                await asyncio.sleep(0 if sent % 100 else 0.01)
        assert session.failed is None  # nothing was wrong but that nobody read
        assert await client.closed() == 1008  # behind what had gone into the buffers before
    assert sent > 1000

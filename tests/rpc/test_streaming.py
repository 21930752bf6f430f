"""Live captions over gRPC: the same talk as over the WebSocket, and ends that have a status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import grpc
import numpy as np
import pytest
import websockets
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict

from app.core.settings import Settings
from app.rpc.calls import address_of, caller
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.services.captions.commands import MAX_MESSAGE
from app.services.conversation import conversation
from app.services.conversation.events import Closing
from tests.api.test_captions_ws import Client as WebSocketClient
from tests.support.events import long_partial
from tests.support.media import jpeg
from tests.support.recognisers import performance
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")
Event = dict[str, Any]


def as_event(message: pb.StreamCaptionsResponse) -> Event:
    """What the WebSocket would have said."""
    kind = message.WhichOneof("event")
    content = MessageToDict(
        getattr(message, kind), preserving_proto_field_name=True, including_default_value_fields=True
    )
    return {"type": kind, "seq": message.seq, **content}


class Client:
    def __init__(self, call: grpc.aio.StreamStreamCall[Any, Any]) -> None:
        self.call = call
        self.events: list[Event] = []

    async def send(self, **message: Any) -> None:
        await self.call.write(pb.StreamCaptionsRequest(**message))

    async def landmarks(self, points: np.ndarray, time_us: int | None = None) -> None:
        packed = pb.PackedPoints(float16=points.astype("<f2").tobytes())
        await self.send(landmarks=pb.Landmarks(points=packed, time_us=time_us))

    async def perform(self, frames: int, start_us: int = 0, seed: int = 0) -> None:
        points = performance(frames, seed)
        for i in range(0, frames, 8):
            await self.landmarks(points[i : i + 8], start_us + i * 40_000)

    async def next(self) -> Event | None:
        message = await self.call.read()
        if message is grpc.aio.EOF:
            return None
        self.events.append(as_event(message))
        return self.events[-1]

    async def until(self, kind: str) -> Event:
        async with asyncio.timeout(20):
            while (event := await self.next()) is not None:
                if event["type"] == kind:
                    return event
        raise AssertionError(f"the stream ended without '{kind}': {await self.call.code()}")

    async def closed(self) -> tuple[grpc.StatusCode, str | None]:
        """Read to the end: the status and the stable code."""
        async with asyncio.timeout(20):
            try:
                while await self.next() is not None:
                    pass
            except grpc.aio.AioRpcError:
                pass
            return await self.call.code(), dict(await self.call.trailing_metadata()).get("glossline-code")


@asynccontextmanager
async def streaming(stub: CaptionerStub) -> AsyncIterator[Client]:
    call = stub.StreamCaptions()
    try:
        yield Client(call)
    finally:
        call.cancel()


async def test_a_session_says_what_the_websocket_says(stub: CaptionerStub, application: FastAPI) -> None:
    async with served(application) as host, websockets.connect(f"ws://{host}/api/ws/stream") as socket:
        other = WebSocketClient(socket)
        await other.send(type="start", endpoint_ms=2000, interim=False, targets=["en", "es"])
        await other.until("ready")
        await other.perform(200)
        await other.send(type="stop")
        await other.until("done")
    async with streaming(stub) as client:
        await client.send(start=pb.Start(endpoint_ms=2000, interim=False, targets=["en", "es"]))
        await client.until("ready")
        await client.perform(200)
        await client.send(stop=pb.Stop())
        await client.until("done")
        assert await client.closed() == (grpc.StatusCode.OK, None)
    said, expected = ([_comparable(e) for e in c.events if e["type"] != "stats"] for c in (client, other))
    assert said == expected
    assert [event["type"] for event in said][:2] == ["ready", "warning"]
    assert "final" in {event["type"] for event in said}


def _comparable(event: Event) -> Event:
    """Without what differs from session to session or with the speed of the machine, and without what is null in JSON
    and not set here."""
    own = {"session_id", "resume_token", "lag_ms", "seconds", "revision", "seq"}
    return {
        name: _comparable(value) if isinstance(value, dict) else _numbers(value)
        for name, value in event.items()
        if name not in own and value is not None
    }


def _numbers(value: Any) -> Any:
    """64-bit whole numbers are text in the JSON of protocol messages."""
    if isinstance(value, list):
        return [_comparable(item) if isinstance(item, dict) else item for item in value]
    return int(value) if isinstance(value, str) and value.isdigit() else value


async def test_every_kind_of_event_has_all_its_fields(stub: CaptionerStub, application: FastAPI) -> None:
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        ready = await client.until("ready")
        session = application.state.services.captions._entries[ready["session_id"]].session
        session.outbox.put(session.stats())
        session.send_event(Closing(resume_token="token"))
        await client.until("closing")
        stats = next(event for event in client.events if event["type"] == "stats")
        assert set(session.stats().model_dump()) - {"credits_remaining"} <= set(stats)
        assert client.events[-1]["resume_token"] == "token"
        await client.perform(120)
        await client.send(flush=pb.Flush())
        partial = await client.until("partial")
        assert {"segment", "revision", "start_ms", "end_ms", "until_ms", "gloss", "gloss_text"} <= set(partial)
        assert {"sentence", "text", "confidence", "lag_ms"} <= set(partial)


async def test_without_a_start_the_defaults_apply(stub: CaptionerStub) -> None:
    async with streaming(stub) as client:
        await client.landmarks(performance(1), 0)
        config = (await client.until("ready"))["config"]
        assert (config["endpoint_ms"], config["interim"], config["targets"]) == (1200, True, ["en"])


async def test_pictures_are_read_and_the_end_of_the_requests_is_a_stop(stub: CaptionerStub) -> None:
    async with streaming(stub) as client:
        for i in range(3):
            await client.send(picture=pb.Picture(data=jpeg(160, 120), time_us=i * 40_000))
        await client.call.done_writing()
        usage = (await client.until("done"))["usage"]
        assert await client.closed() == (grpc.StatusCode.OK, None)
    assert [int(usage[name]) for name in ("received", "used", "dropped")] == [3, 3, 0]


async def test_pause_ack_and_ping(stub: CaptionerStub) -> None:
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        await client.send(pause=pb.Pause(paused=True))
        await client.perform(8)
        await client.send(pause=pb.Pause(paused=False))
        await client.send(ack=pb.Ack(seq=1))
        await client.send(ping=pb.Ping())
        await client.until("pong")
        await client.send(stop=pb.Stop())
        usage = (await client.until("done"))["usage"]
        assert [int(usage[name]) for name in ("received", "dropped")] == [8, 8]


POINTS = np.zeros((1, 75, 3), "<f4")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "malformed_message"),
        ({"picture": {}}, "invalid_frame"),
        ({"picture": {"data": b"hello"}}, "invalid_frame"),
        ({"landmarks": {}}, "invalid_landmarks"),
        ({"landmarks": {"points": {"float16": b"x" * 451}}}, "invalid_landmarks"),
        ({"landmarks": {"points": {"float16": b"\0" * 450 * 101}}}, "invalid_landmarks"),
        ({"landmarks": {"points": {"float32": (POINTS + np.nan).tobytes()}}}, "invalid_landmarks"),
        ({"landmarks": {"points": {"float32": (POINTS + 99).tobytes()}}}, "invalid_landmarks"),
        ({"start": {}}, "bad_start"),
    ],
)
async def test_a_bad_message_is_named_and_the_session_goes_on(stub: CaptionerStub, message: Event, code: str) -> None:
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        await client.send(**message)
        error = await client.until("error")
        assert (error["code"], error["fatal"]) == (code, False)
        assert len(error["message"]) > 15
        await client.send(ping=pb.Ping())
        await client.until("pong")


async def test_bytes_that_are_no_message_are_named_too(channel: grpc.aio.Channel) -> None:
    method = channel.stream_stream(
        "/glossline.v1.Captioner/StreamCaptions", lambda data: data, pb.StreamCaptionsResponse.FromString
    )
    call = method()
    client = Client(call)
    await call.write(b"\x0a\xff\xff")
    assert (await client.until("error"))["code"] == "malformed_message"
    await call.write(pb.StreamCaptionsRequest(ping=pb.Ping()).SerializeToString())
    await client.until("pong")
    call.cancel()


@pytest.mark.parametrize(
    ("start", "says"),
    [
        ({"sign_language": "gsg"}, "sign_language"),
        ({"endpoint_ms": 5}, "endpoint_ms"),
        ({"window": 64, "stride": 100}, "stride"),
        ({"fps": float("nan")}, "fps"),
        ({"resume": {"session_id": "nobody", "token": "x"}}, "no such session"),
    ],
)
async def test_a_start_that_cannot_be_is_refused(stub: CaptionerStub, start: Event, says: str) -> None:
    async with streaming(stub) as client:
        await client.send(start=pb.Start(**start))
        status, code = await client.closed()
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert code in ("bad_start", "unknown_session")
        assert says in await client.call.details()
    assert client.events[-1]["code"] == code
    assert client.events[-1]["fatal"]


async def test_a_message_that_is_too_large_ends_the_session(stub: CaptionerStub) -> None:
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        await client.until("ready")
        await client.send(picture=pb.Picture(data=b"\1" * (MAX_MESSAGE + 1)))
        assert await client.closed() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_big")


async def test_a_client_that_sends_too_fast_is_told_so(stub: CaptionerStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "BURST", 20)
    monkeypatch.setattr(conversation, "RATE", 0.01)
    async with streaming(stub) as client:
        for _ in range(21):  # not one more: the client's library takes a write after the end for a fault of its own
            await client.send(ping=pb.Ping())
        assert await client.closed() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_fast")


async def test_no_more_sessions_than_there_is_room_for(stub: CaptionerStub, application: FastAPI) -> None:
    gate = application.state.services.captions.streams
    calls = []
    try:
        while not gate.full:
            client = Client(stub.StreamCaptions())
            calls.append(client)
            await client.send(start=pb.Start())
            await client.until("ready")
        async with streaming(stub) as late:
            await late.send(start=pb.Start())
            assert await late.closed() == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    finally:
        for client in calls:
            await client.send(stop=pb.Stop())
            await client.closed()


async def test_a_cancelled_stream_is_resumed_without_losing_a_final(stub: CaptionerStub) -> None:
    finals: list[int] = []
    seen = at_us = 0
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        ready = await client.until("ready")
    resume = {"session_id": ready["session_id"], "token": ready["resume_token"]}
    for turn in range(8):
        async with streaming(stub) as client:
            await client.send(start=pb.Start(resume=pb.Resume(**resume, last_seq=seen)))
            assert (await client.until("ready"))["session_id"] == ready["session_id"]
            await client.perform(40, at_us, seed=turn)
            at_us += 1_600_000
            await client.send(flush=pb.Flush())
            if turn % 3 == 0:  # gone before anything could arrive
                continue
            await client.send(ping=pb.Ping())
            await client.until("pong")
            for event in client.events:
                seen = max(seen, event["seq"])
                finals += [event["segment"]] if event["type"] == "final" else []
    async with streaming(stub) as client:
        await client.send(start=pb.Start(resume=pb.Resume(**resume, last_seq=seen)))
        await client.send(stop=pb.Stop())
        done = await client.until("done")
        finals += [event["segment"] for event in client.events if event["type"] == "final"]
    assert finals == list(range(done["usage"]["segments"]))
    assert finals


async def test_a_client_that_never_reads_is_noticed_and_its_session_dropped(
    stub: CaptionerStub, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "SEND_S", 1.0)
    hub = application.state.services.captions
    others = set(hub._entries)
    async with streaming(stub) as client:
        await client.send(start=pb.Start())
        await client.until("ready")
        (session,) = [entry.session for name, entry in hub._entries.items() if name not in others]
        sent = 0
        async with asyncio.timeout(60):
            while session.id in hub._entries:
                sent += 1
                session.outbox.put(long_partial(sent, 10_000))
                await asyncio.sleep(0 if sent % 100 else 0.01)
        assert session.failed is None  # nothing was wrong but that nobody read
        assert await client.closed() == (grpc.StatusCode.ABORTED, "slow_reader")


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:40000", "192.0.2.7"),
        ("ipv6:%5B2001:db8::1%5D:40000", "2001:db8::1"),
        ("ipv6:[::1]:40000", "::1"),
        ("unix:/run/glossline.sock", None),
        ("unknown", None),
    ],
)
async def test_the_address_of_a_peer(peer: str, address: str | None) -> None:
    assert address_of(peer) == address


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("ipv4:10.0.0.2:5000", ["203.0.113.7"], "203.0.113.7"),
        ("ipv4:10.0.0.2:5000", ["6.6.6.6, 203.0.113.7", "10.0.0.3"], "203.0.113.7"),  # two proxies, and an invention
        ("ipv4:10.0.0.2:5000", ["6.6.6.6, unknown"], "10.0.0.2"),
        ("ipv4:10.0.0.2:5000", ["10.0.0.3"], "10.0.0.2"),
        ("ipv4:10.0.0.2:5000", [], "10.0.0.2"),
        ("ipv4:203.0.113.9:5000", ["203.0.113.7"], "203.0.113.9"),  # no proxy of ours
        ("unix:/socket", ["203.0.113.7"], None),
    ],
)
async def test_the_address_of_a_caller_behind_proxies(peer: str, forwarded: list[str], address: str | None) -> None:
    context = Mock(peer=lambda: peer, invocation_metadata=lambda: [("x-forwarded-for", one) for one in forwarded])
    assert caller(context, Settings(_env_file=None, trusted_proxies=["10.0.0.0/8"])) == address
    assert caller(context, Settings(_env_file=None)) == address_of(peer)

"""Credits at every door: what clips and live captions cost, what is refused, paying once, plans, Stripe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from math import ceil
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
import socketio
import websockets
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.settings import Settings
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1 import captioner_pb2_grpc
from app.rpc.server import rpc_server
from app.services.billing import admin
from app.services.billing import live_charge as charging
from tests.conftest import fresh_database
from tests.support.accounts import Person, client_of, guarded, key_of, person, running
from tests.support.ledger import balance, rows
from tests.support.media import npz, video
from tests.support.problems import assert_problem
from tests.support.recognisers import performance
from tests.support.serving import served
from tests.support.stripe_server import KEY, PRICES, SECRET, LocalStripe, local_stripe, signed

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROUTE = "/api/inference/landmarks"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stripe() -> AsyncIterator[LocalStripe]:
    async with local_stripe() as stripe:
        yield stripe


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(
    tiny_settings: Settings, postgres: str, stripe: LocalStripe, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[FastAPI]:
    """The free plan grants nothing, takes small uploads and one live session."""
    table = tmp_path_factory.mktemp("plans") / "plans.toml"
    text = (Path(__file__).parents[2] / "app/services/billing/plans.toml").read_text()
    free, rest = text.split("[plans.pro]")
    free = free.replace("1_800", "0").replace("upload_mb = 50", "upload_mb = 1")
    table.write_text(free + "[plans.pro]" + rest)
    payments = {
        "stripe_secret_key": SecretStr(KEY),
        "stripe_webhook_secret": SecretStr(SECRET),
        "stripe_prices": PRICES,
        "stripe_api": stripe.url,
    }
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database, plans_file=table, **payments)) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(app: FastAPI) -> AsyncIterator[str]:
    async with served(app) as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rpc_port(app: FastAPI) -> AsyncIterator[int]:
    async with rpc_server(app.state.services, "127.0.0.1", 0) as port:  # live captions end with it: one for all tests
        yield port


async def with_credits(app: FastAPI, credits: int) -> Person:
    someone = await person(app)
    if credits:
        await admin.adjust(app.state.services.credits, UUID(someone.id), credits, "for a test", None)
    return someone


async def state(app: FastAPI, someone: Person) -> tuple[int, int, int]:
    return await balance(app.state.services.database, UUID(someone.id))


# -- clips -------------------------------------------------------------------------------------------------------------


async def test_a_clip_costs_a_credit_a_second_whatever_it_is_sent_as(
    app: FastAPI, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    someone = await with_credits(app, 20)
    clip = npz(60)  # 2.4 s
    answer = await client.post(ROUTE, files={"file": ("a.npz", clip)}, headers=someone.headers)
    assert answer.status_code == 200, answer.text
    assert await state(app, someone) == (17, 17, 0)
    path = video(tmp_path / "a.mp4", 30)
    answer = await client.post(
        "/api/inference/predict", files={"file": ("a.mp4", path.read_bytes())}, headers=someone.headers
    )
    assert answer.status_code == 200, answer.text
    spent = 17 - (await state(app, someone))[0]
    assert spent in (1, 2)
    key = await key_of(app, someone, "captions")
    answer = await client.post(f"{ROUTE}?format=vtt", files={"file": ("a.npz", npz(5))}, headers={"X-API-Key": key})
    assert answer.text.startswith("WEBVTT")
    assert await state(app, someone) == (16 - spent,) * 2 + (0,)


async def test_a_clip_that_costs_too_much_is_refused_and_costs_nothing(
    app: FastAPI, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    someone = await with_credits(app, 2)
    answer = await client.post(ROUTE, files={"file": ("a.npz", npz(100))}, headers=someone.headers)
    problem = assert_problem(answer, 402, "insufficient_credits")
    assert (problem["needed"], problem["available"], problem["missing"]) == (4, 2, 2)
    path = video(tmp_path / "a.mp4", 100)
    answer = await client.post(
        "/api/inference/predict", files={"file": ("a.mp4", path.read_bytes())}, headers=someone.headers
    )
    assert_problem(answer, 402, "insufficient_credits")
    assert await state(app, someone) == (2, 2, 0)


async def test_without_credits_nothing_is_received(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 0)

    async def body() -> AsyncIterator[bytes]:
        yield b"--b"
        await asyncio.sleep(60)

    headers = {**someone.headers, "content-type": "multipart/form-data; boundary=b"}
    async with asyncio.timeout(20):
        answer = await client.post(ROUTE, content=body(), headers=headers)
    problem = assert_problem(answer, 402, "insufficient_credits")
    assert problem["missing"] == 1


async def test_signs_are_free_and_their_video_costs_its_seconds(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 4)
    path, body = "/api/signs/perform", {"text": "yes"}
    landmarks = await client.post(path, json=body, headers=someone.headers)
    assert landmarks.status_code == 200, landmarks.text
    assert await state(app, someone) == (4, 4, 0)
    video = await client.post(path, json={**body, "format": "mp4"}, headers=someone.headers)
    assert video.status_code == 200, video.text
    left = 4 - ceil(landmarks.json()["duration_s"])
    assert await state(app, someone) == (left, left, 0)
    longer = {"text": "yes, my mother wants water", "format": "mp4"}
    assert_problem(await client.post(path, json=longer, headers=someone.headers), 402, "insufficient_credits")
    assert (await client.post(path, json=longer | {"format": "landmarks"}, headers=someone.headers)).status_code == 200
    assert await state(app, someone) == (left, left, 0)


async def test_a_clip_that_cannot_be_read_costs_nothing(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 5)
    for name, data in (("a.npz", b"nonsense"), ("a.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(500))):
        route = ROUTE if name == "a.npz" else "/api/inference/predict"
        answer = await client.post(route, files={"file": (name, data)}, headers=someone.headers)
        assert 400 <= answer.status_code < 500
    answer = await client.post(
        f"{ROUTE}?vocabulary=NOPE,NADA", files={"file": ("a.npz", npz())}, headers=someone.headers
    )
    assert answer.status_code == 422
    assert await state(app, someone) == (5, 5, 0)


async def test_what_the_plan_does_not_allow(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 50)
    answer = await client.post(
        f"{ROUTE}?vocabulary=HELLO,YOU", files={"file": ("a.npz", npz())}, headers=someone.headers
    )
    assert assert_problem(answer, 403, "plan_limit")["limit"] == "vocabularies"
    answer = await client.post(ROUTE, files={"file": ("a.npz", bytes(1 << 20))}, headers=someone.headers)
    assert "limit of your plan" in assert_problem(answer, 413, "upload_too_large")["detail"]
    assert await state(app, someone) == (50, 50, 0)
    await admin.give_plan(app.state.services.credits, UUID(someone.id), "pro")
    answer = await client.post(
        f"{ROUTE}?vocabulary=HELLO,YOU", files={"file": ("a.npz", npz())}, headers=someone.headers
    )
    assert answer.status_code == 200


async def test_two_hundred_clips_at_once_for_twenty_credits(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 20)
    clip = npz(20)

    async def one() -> int:
        while True:
            answer = await client.post(ROUTE, files={"file": ("a.npz", clip)}, headers=someone.headers)
            if answer.status_code != 503:
                return answer.status_code
            await asyncio.sleep(0.05)

    answers = await asyncio.gather(*(one() for _ in range(60)))
    assert answers.count(200) == 20
    assert answers.count(402) == 40
    assert await state(app, someone) == (0, 0, 0)


async def test_a_client_that_leaves_pays_nothing(app: FastAPI, host: str) -> None:
    someone = await with_credits(app, 50)
    for _ in range(3):
        async with httpx.AsyncClient(base_url=f"http://{host}") as client:
            sending = asyncio.create_task(
                client.post(ROUTE, files={"file": ("a.npz", npz(450))}, headers=someone.headers)
            )
            while not (await state(app, someone))[2] and not sending.done():  # noqa: ASYNC110 - as a client sees it
                await asyncio.sleep(0.001)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    async with asyncio.timeout(20):
        while (await state(app, someone))[2]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    total, newest, _ = await state(app, someone)
    assert total == newest
    assert (50 - total) % 18 == 0, "each was paid as a whole or not at all"


async def test_a_key_is_paid_once(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 10)
    headers = {**someone.headers, "Idempotency-Key": "one"}
    files = {"file": ("a.npz", npz(60))}
    first = await client.post(ROUTE, files=files, headers=headers)
    assert first.status_code == 200
    again = await client.post(ROUTE, files=files, headers=headers)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == first.headers["content-type"]
    other = await client.post(ROUTE, files={"file": ("a.npz", npz(61))}, headers=headers)
    assert_problem(other, 422, "idempotency_mismatch")
    assert_problem(await client.post(f"{ROUTE}?format=srt", files=files, headers=headers), 422, "idempotency_mismatch")
    assert await state(app, someone) == (7, 7, 0)
    await admin.adjust(app.state.services.credits, UUID(someone.id), -7, "spent", None)
    assert (await client.post(ROUTE, files=files, headers=headers)).content == first.content
    answers = await asyncio.gather(
        *(client.post(ROUTE, files=files, headers={**someone.headers, "Idempotency-Key": "two"}) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {402}
    assert_problem(
        await client.post(ROUTE, files=files, headers={**headers, "Idempotency-Key": "x" * 201}), 422, "invalid_request"
    )


async def test_the_same_key_at_the_same_time_is_paid_once(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 30)
    headers = {**someone.headers, "Idempotency-Key": "k"}
    files = {"file": ("a.npz", npz(60))}
    answers = await asyncio.gather(*(client.post(ROUTE, files=files, headers=headers) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert await state(app, someone) == (27, 27, 0)


async def test_over_grpc(app: FastAPI, rpc_port: int) -> None:
    someone = await with_credits(app, 4)
    points = performance(60)
    clip = pb.Clip(landmarks=pb.ClipLandmarks(points=pb.PackedPoints(float32=points.astype("<f4").tobytes())))
    metadata = [("authorization", f"Bearer {someone.access}")]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc_port}") as channel:
        stub = captioner_pb2_grpc.CaptionerStub(channel)
        await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=metadata)
        assert await state(app, someone) == (1, 1, 0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=metadata)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert dict(refused.value.trailing_metadata() or ())["glossline-code"] == "insufficient_credits"
        await admin.adjust(app.state.services.credits, UUID(someone.id), 3, "more", None)
        keyed = [*metadata, ("idempotency-key", "one")]
        first = await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=keyed)
        assert await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=keyed) == first
        assert await state(app, someone) == (1, 1, 0)
        clip.landmarks.fps = 30
        with pytest.raises(grpc.aio.AioRpcError, match="sent before with another request"):
            await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=keyed)
        with pytest.raises(grpc.aio.AioRpcError, match="1 to 200 characters"):
            await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=[*metadata, ("idempotency-key", "x" * 201)])
        with pytest.raises(grpc.aio.AioRpcError, match="without spaces"):
            await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=[*metadata, ("idempotency-key", "a b")])
        batch = await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[clip, clip]), metadata=metadata)
        assert {result.problem.code for result in batch.results} == {"insufficient_credits"}
        assert await state(app, someone) == (1, 1, 0)


async def test_a_batch_with_a_key_pays_each_clip_once(app: FastAPI, rpc_port: int) -> None:
    """Also where a part of it was refused: the batch sent again pays for that part alone."""
    someone = await with_credits(app, 7)
    metadata = [("authorization", f"Bearer {someone.access}"), ("idempotency-key", "batch")]
    clips = [
        pb.Clip(landmarks=pb.ClipLandmarks(points=pb.PackedPoints(float32=performance(n).astype("<f4").tobytes())))
        for n in (60, 61, 62)  # 3 credits each
    ]
    request = pb.RecogniseBatchRequest(clips=clips)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{rpc_port}") as channel:
        stub = captioner_pb2_grpc.CaptionerStub(channel)
        first = await stub.RecogniseBatch(request, metadata=metadata)
        assert sorted(result.problem.code for result in first.results) == ["", "", "insufficient_credits"]
        assert await state(app, someone) == (1, 1, 0)
        await admin.adjust(app.state.services.credits, UUID(someone.id), 9, "more", None)
        again = await stub.RecogniseBatch(request, metadata=metadata)
        assert [result.problem.code for result in again.results] == ["", "", ""]
        assert await state(app, someone) == (7, 7, 0)
        for before, after in zip(first.results, again.results, strict=True):
            assert before.problem.code or before == after
        assert await stub.RecogniseBatch(request, metadata=metadata) == again
        assert await state(app, someone) == (7, 7, 0)
        for other in (pb.RecogniseBatchRequest(clips=clips[:2]), pb.RecogniseBatchRequest(clips=[*clips, clips[0]])):
            with pytest.raises(grpc.aio.AioRpcError, match="sent before with another request"):
                await stub.RecogniseBatch(other, metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError, match="sent before with another request"):
            await stub.Recognise(pb.RecogniseRequest(clip=clips[0]), metadata=metadata)
        metadata[1] = ("idempotency-key", "at-once")
        request = pb.RecogniseBatchRequest(clips=clips[:2])
        calls = [stub.RecogniseBatch(request, metadata=metadata) for _ in range(4)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, grpc.aio.AioRpcError):
            assert answer.code() is grpc.StatusCode.FAILED_PRECONDITION
        else:
            assert {result.problem.code for result in answer.results} <= {"", "idempotency_in_progress"}
    assert await state(app, someone) == (1, 1, 0)


# -- live captions -----------------------------------------------------------------------------------------------------


class Live:
    """A client of live captions that sends landmarks as a camera would, only faster."""

    def __init__(self, socket: Any) -> None:
        self.socket, self.sent = socket, 0
        self.events: list[dict[str, Any]] = []

    async def perform(self, seconds: float) -> None:
        points = performance(25)
        for _ in range(round(seconds)):
            for i in range(0, 25, 5):
                header = b"\x01\x03\x00\x00\x00\x00\x00\x00" + (self.sent * 40_000).to_bytes(8, "little")
                await self.socket.send(header + points[i : i + 5].astype("<f2").tobytes())
                self.sent += 5

    async def until(self, kind: str, code: str | None = None) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                event: dict[str, Any] = json.loads(await self.socket.recv())
                self.events.append(event)
                if event["type"] == kind and code in (None, event.get("code")):
                    return event

    async def closed(self) -> int | None:
        try:
            async with asyncio.timeout(30):
                while True:
                    self.events.append(json.loads(await self.socket.recv()))
        except websockets.ConnectionClosed:
            return self.socket.close_code  # type: ignore[no-any-return]


async def settled(app: FastAPI, someone: Person) -> tuple[int, int, int]:
    async with asyncio.timeout(20):
        while (await state(app, someone))[2]:  # noqa: ASYNC110 - settled when the client is gone
            await asyncio.sleep(0.01)
    return await state(app, someone)


async def test_live_captions_are_paid_by_the_second_and_say_what_is_left(app: FastAPI, host: str) -> None:
    someone = await with_credits(app, 200)
    url = f"ws://{host}/api/ws/stream"
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        await live.until("ready")
        assert (await state(app, someone))[2] == 60
        await live.perform(8)
        assert (await live.until("stats"))["credits_remaining"] <= 200
        while (await live.until("stats"))["credits_remaining"] != 192:
            pass
        await live.socket.send(json.dumps({"type": "stop"}))
        await live.until("done")
    assert await settled(app, someone) == (192, 192, 0)
    assert await rows(
        app.state.services.database,
        "SELECT source, seconds FROM ledger WHERE user_id = :u AND kind = 'debit'",
        u=UUID(someone.id),
    ) == [("live", pytest.approx(8.0, abs=0.05))]


async def test_credits_that_run_out_warn_and_end_the_session_after_its_last_final(app: FastAPI, host: str) -> None:
    someone = await with_credits(app, 6)
    url = f"ws://{host}/api/ws/stream"
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        warning = await live.until("warning", "credits_low")
        assert "credits for 6 more seconds" in warning["message"]
        await live.perform(20)
        assert await live.closed() == 4402
    kinds = [event["type"] for event in live.events if event["type"] in ("partial", "final", "error")]
    assert kinds[-1] == "error"
    assert live.events[-1]["code"] == "insufficient_credits"
    assert live.events[-1]["fatal"]
    assert await settled(app, someone) == (0, 0, 0)
    # The next one is refused at once.
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        again = Live(socket)
        assert await again.closed() == 4402
    assert [event["code"] for event in again.events] == ["insufficient_credits"]


async def test_credits_that_come_in_time_keep_the_session_going(
    app: FastAPI, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charging, "RECORD_S", 1.0)
    someone = await with_credits(app, 10)
    url = f"ws://{host}/api/ws/stream"
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        await live.until("warning", "credits_low")
        await live.perform(5)
        await admin.adjust(app.state.services.credits, UUID(someone.id), 300, "more", None)
        await live.perform(4)
        while (await live.until("stats"))["credits_remaining"] < 300:
            pass
        await live.perform(8)
        await live.socket.send(json.dumps({"type": "stop"}))
        done = await live.until("done")
        assert done["usage"]["dropped"] == 0
    assert await settled(app, someone) == (293, 293, 0)


async def test_one_live_session_at_once_and_a_lost_one_makes_room(app: FastAPI, host: str) -> None:
    someone = await with_credits(app, 500)
    url = f"ws://{host}/api/ws/stream"
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        first = Live(socket)
        await first.until("ready")
        async with websockets.connect(url, additional_headers=someone.headers) as other:
            second = Live(other)
            assert await second.closed() == 4403
            assert second.events[-1]["code"] == "plan_limit"
        socket.transport.abort()
    async with asyncio.timeout(20):
        while app.state.services.captions.streams.in_use:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        await Live(socket).until("ready")
    assert (await settled(app, someone))[0] == 500


async def test_lists_of_glosses_and_languages_of_the_plan_in_live_captions(app: FastAPI, host: str) -> None:
    someone = await with_credits(app, 500)
    url = f"ws://{host}/api/ws/stream"
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        await socket.send(json.dumps({"type": "start", "vocabulary": ["HELLO", "YOU"]}))
        assert await live.closed() == 4403
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        await socket.send(json.dumps({"type": "start", "targets": ["es"]}))
        assert await live.closed() == 4403
        assert live.events[-1]["code"] == "plan_limit"
        assert "has captions in en, not in es" in live.events[-1]["message"]
    async with websockets.connect(url, additional_headers=someone.headers) as socket:
        live = Live(socket)
        await socket.send(json.dumps({"type": "start", "targets": ["en", "es"]}))
        await live.until("warning", "plan_limit")
        assert live.events[0]["config"]["targets"] == ["en"]
        await socket.send(json.dumps({"type": "vocabulary", "vocabulary": ["HELLO"]}))
        assert (await live.until("error"))["code"] == "plan_limit"
        await socket.send(json.dumps({"type": "stop"}))
        await live.until("done")
    assert (await settled(app, someone))[0] == 500


async def test_over_socketio(app: FastAPI, host: str) -> None:
    someone, poor = await with_credits(app, 100), await with_credits(app, 0)
    sio, stats = socketio.AsyncClient(), asyncio.Queue[dict[str, Any]]()
    sio.on("caption", lambda event: stats.put_nowait(event))
    await sio.connect(f"http://{host}", auth={"token": someone.access})
    async with asyncio.timeout(30):
        while (event := await stats.get())["type"] != "stats":
            pass
    assert event["credits_remaining"] == 100
    await sio.disconnect()
    hub = app.state.services.captions
    for session_id in list(hub._entries):  # a client that broke off could come back within half a minute
        await hub.drop(session_id)
    assert await settled(app, someone) == (100, 100, 0)
    refused = asyncio.Queue[dict[str, Any]]()
    sio = socketio.AsyncClient(reconnection=False)
    sio.on("caption", lambda event: refused.put_nowait(event))
    await sio.connect(f"http://{host}", auth={"token": poor.access})
    async with asyncio.timeout(30):
        assert (await refused.get())["code"] == "insufficient_credits"
    await sio.disconnect()


# -- plans and payments ------------------------------------------------------------------------------------------------


async def test_plans_are_for_everybody(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/billing/plans")).json()
    assert [(plan["name"], plan["can_be_bought"]) for plan in answer["plans"]] == [
        ("free", False), ("pro", True), ("enterprise", True),
    ]  # fmt: skip
    assert answer["credits_per_second"] == {"clip": 1.0, "live": 1.0}


async def test_usage_and_ledger_of_ones_own(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone, other = await with_credits(app, 20), await with_credits(app, 5)
    for frames in (25, 50, 75):
        await client.post(ROUTE, files={"file": ("a.npz", npz(frames))}, headers=someone.headers)
    usage = (await client.get("/api/billing/usage", headers=someone.headers)).json()
    assert usage["credits"]["available"] == 14
    assert len(usage["days"]) == 30
    assert (usage["days"][-1]["clip"], usage["days"][-1]["seconds"]) == (6, pytest.approx(6))
    assert usage["subscription"] is None
    page = (await client.get("/api/billing/ledger?limit=3", headers=someone.headers)).json()
    rest = (await client.get(f"/api/billing/ledger?before={page['before']}", headers=someone.headers)).json()
    assert [entry["amount"] for entry in page["entries"] + rest["entries"]] == [-3, -2, -1, 20]
    assert rest["before"] is None
    assert len((await client.get("/api/billing/ledger", headers=other.headers)).json()["entries"]) == 1
    for route in ("usage", "ledger"):
        assert_problem(await client.get(f"/api/billing/{route}"), 401, "unauthenticated")


async def test_from_checkout_to_the_plan(app: FastAPI, client: httpx.AsyncClient, stripe: LocalStripe) -> None:
    someone = await with_credits(app, 0)
    asked = await client.post("/api/billing/checkout", json={"plan": "pro"}, headers=someone.headers)
    assert asked.status_code == 200, asked.text
    body, signature = signed(stripe.pay(asked.json()["url"].rpartition("/")[2]))
    for outcome in ("applied", "repeated"):
        told = await client.post("/api/billing/webhook", content=body, headers={"Stripe-Signature": signature})
        assert (told.status_code, told.json()) == (200, {"outcome": outcome})
    usage = (await client.get("/api/billing/usage", headers=someone.headers)).json()
    assert (usage["credits"]["plan"], usage["credits"]["available"]) == ("pro", 72_000)
    assert usage["subscription"]["status"] == "active"
    again = await client.post("/api/billing/checkout", json={"plan": "pro"}, headers=someone.headers)
    assert_problem(again, 409, "already_subscribed")
    portal = await client.post("/api/billing/portal", headers=someone.headers)
    assert portal.json()["url"].startswith(stripe.url)
    for plan in ("gold", "free", "", "x" * 100, "'; DROP TABLE ledger; --"):
        answer = await client.post("/api/billing/checkout", json={"plan": plan}, headers=someone.headers)
        assert_problem(answer, 422, "invalid_request")
    key = await key_of(app, someone, "account")
    answer = await client.post("/api/billing/checkout", json={"plan": "pro"}, headers={"X-API-Key": key})
    assert_problem(answer, 403, "forbidden")


async def test_webhooks_that_are_not_stripes(client: httpx.AsyncClient, stripe: LocalStripe) -> None:
    event = stripe.event("customer.subscription.created", {"id": "sub_1", "customer": "cus_1"})
    for body, signature in (
        signed(event, secret="whsec_another"),
        signed(event, age_s=601),
        (signed(event)[0], ""),
        (signed(event)[0] + b" ", signed(event)[1]),
    ):
        answer = await client.post("/api/billing/webhook", content=body, headers={"Stripe-Signature": signature})
        assert_problem(answer, 400, "invalid_signature")
    body, signature = signed(b"[" + b"1," * (5 << 19) + b"1]")
    answer = await client.post("/api/billing/webhook", content=body, headers={"Stripe-Signature": signature})
    assert_problem(answer, 413, "upload_too_large")


async def test_what_admins_may_do(app: FastAPI, client: httpx.AsyncClient) -> None:
    boss, someone = await person(app, "admin"), await with_credits(app, 0)
    path = f"/api/billing/users/{someone.id}"
    given = await client.post(f"{path}/credits", json={"credits": 30, "reason": "sorry"}, headers=boss.headers)
    assert given.json()["available"] == 30
    entry = (await client.get("/api/billing/ledger", headers=someone.headers)).json()["entries"][0]
    assert (entry["kind"], entry["amount"], entry["reason"]) == ("adjust", 30, "sorry")
    taken = await client.post(f"{path}/credits", json={"credits": -31, "reason": "no"}, headers=boss.headers)
    assert_problem(taken, 422, "invalid_request")
    for bad in (
        {"credits": 0, "reason": "x"},
        {"credits": 10**10, "reason": "x"},
        {"credits": 1},
        {"credits": 1.5, "reason": "x"},
        {"credits": 1, "reason": ""},
        {"credits": 1, "reason": "a\x00b"},
        {"credits": 1, "reason": "x", "more": 1},
    ):
        assert_problem(await client.post(f"{path}/credits", json=bad, headers=boss.headers), 422, "invalid_request")
    plan = await client.post(f"{path}/plan", json={"plan": "pro"}, headers=boss.headers)
    assert (plan.json()["plan"], plan.json()["available"]) == ("pro", 72_030)
    assert_problem(
        await client.post(f"{path}/plan", json={"plan": "gold"}, headers=boss.headers), 422, "invalid_request"
    )
    assert (await client.get(path, headers=boss.headers)).json()["plan"] == "pro"
    unknown = await client.get(f"/api/billing/users/{uuid4()}", headers=boss.headers)
    assert_problem(unknown, 404, "not_found")
    for headers in (someone.headers, (await person(app, "operator")).headers):
        for method, route, body in (
            ("GET", path, None),
            ("POST", f"{path}/credits", {"credits": 1, "reason": "x"}),
            ("POST", f"{path}/plan", {"plan": "pro"}),
        ):
            assert_problem(await client.request(method, route, json=body, headers=headers), 403, "forbidden")


async def test_open_and_without_a_key_there_is_no_billing(tiny_settings: Settings) -> None:
    async with running(tiny_settings) as app, client_of(app) as client:
        assert (await client.get("/api/billing/plans")).status_code == 200
        assert_problem(await client.post("/api/billing/webhook", content=b"{}"), 404, "not_found")
        answer = await client.post(ROUTE, files={"file": ("a.npz", npz())}, headers={"Idempotency-Key": "one"})
        assert answer.status_code == 200


async def test_metrics(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await with_credits(app, 20)
    credits = app.state.services.credits
    assert await credits.check() == 0
    before = app.state.services.metrics.registry.get_sample_value("glossline_credits_debited_total", {"kind": "clip"})
    await client.post(ROUTE, files={"file": ("a.npz", npz(75))}, headers=someone.headers)
    after = app.state.services.metrics.registry.get_sample_value("glossline_credits_debited_total", {"kind": "clip"})
    assert after - before == 3
    assert app.state.services.metrics.registry.get_sample_value("glossline_credits_wrong_accounts") == 0
    accounts = app.state.services.metrics.registry.get_sample_value("glossline_accounts", {"plan": "free"})
    assert accounts is not None
    assert accounts >= 1

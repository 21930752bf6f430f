"""The history at every door: kept for those who asked and have an account, and for nobody else to see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
import pytest
import pytest_asyncio
import socketio
import websockets
from fastapi import FastAPI

from app.core.settings import Settings
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1 import captioner_pb2_grpc
from app.rpc.server import rpc_server
from app.services.history import writer
from tests.conftest import fresh_database
from tests.support.accounts import PASSWORD, Person, client_of, guarded, key_of, person, running
from tests.support.ledger import rows
from tests.support.media import npz
from tests.support.problems import assert_problem
from tests.support.recognisers import performance
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="module")
CLIP = "/api/inference/landmarks"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database)) as app:
            yield app


@pytest_asyncio.fixture(loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(app: FastAPI) -> AsyncIterator[str]:
    async with served(app) as host:
        yield host


async def saved(app: FastAPI, client: httpx.AsyncClient, someone: Person) -> dict[str, Any]:
    """A clip of this account in its history."""
    answer = await client.post(f"{CLIP}?save=true", files={"file": ("a.npz", npz(60))}, headers=someone.headers)
    assert answer.status_code == 200, answer.text
    await app.state.services.history.writer.written()
    listed = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
    answer = await client.get(f"/api/history/{listed[0]['id']}", headers=someone.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_clip_is_kept_if_it_was_asked_for(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await person(app)
    answer = await client.post(CLIP, files={"file": ("a.npz", npz(60))}, headers=someone.headers)
    assert answer.status_code == 200
    await app.state.services.history.writer.written()
    assert (await client.get("/api/history", headers=someone.headers)).json() == {"sessions": [], "cursor": None}
    keyed = {**someone.headers, "Idempotency-Key": "one"}
    for _ in range(2):  # the second one gets the answer of the first
        answer = await client.post(f"{CLIP}?save=true", files={"file": ("a.npz", npz(60))}, headers=keyed)
    await app.state.services.history.writer.written()
    sessions = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
    assert len(sessions) == 1
    found = (await client.get(f"/api/history/{sessions[0]['id']}", headers=someone.headers)).json()
    said = answer.json()
    assert (found["kind"], found["model"], found["credits"]) == ("clip", said["model"], 3)
    assert found["duration_s"] == said["duration_s"]
    assert [sign["gloss"] for line in found["lines"] for sign in line["glosses"]] == said["gloss"] != []
    assert sessions[0]["excerpt"] == found["lines"][0]["sentence"]
    columns = await rows(
        app.state.services.database,
        "SELECT column_name FROM information_schema.columns WHERE table_name LIKE 'caption_%'",
    )
    assert not {"image", "points", "landmarks", "video"} & {name for (name,) in columns}


async def test_without_an_account_nothing_is_stored_and_that_is_said(
    tiny_settings: Settings, database_url: str
) -> None:
    for settings in (tiny_settings, guarded(tiny_settings, database_url, auth_mode="open")):
        async with running(settings) as app, client_of(app) as client, served(app) as host:
            answer = await client.post(f"{CLIP}?save=true", files={"file": ("a.npz", npz(60))})
            assert "without an account" in assert_problem(answer, 401, "unauthenticated")["detail"]
            async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
                await socket.send(json.dumps({"type": "start", "save": True}))
                ready, warning = [json.loads(await socket.recv()) for _ in range(2)]
            assert ready["config"]["save"] is False
            assert (warning["type"], warning["code"]) == ("warning", "not_available")
            assert "without an account" in warning["message"]
            if app.state.services.database is not None:
                assert await rows(app.state.services.database, "SELECT * FROM caption_sessions") == []


async def test_live_captions_are_kept_with_how_they_came_about(
    app: FastAPI, client: httpx.AsyncClient, host: str
) -> None:
    someone = await person(app)
    finals: list[dict[str, Any]] = []
    async with websockets.connect(f"ws://{host}/api/ws/stream", additional_headers=someone.headers) as socket:
        await socket.send(json.dumps({"type": "start", "save": True}))
        ready = json.loads(await socket.recv())
        assert ready["config"]["save"] is True
        points = performance(50)
        for place in range(0, 50, 5):
            header = b"\x01\x03\x00\x00\x00\x00\x00\x00" + (place * 40_000).to_bytes(8, "little")
            await socket.send(header + points[place : place + 5].astype("<f2").tobytes())
        await socket.send(json.dumps({"type": "stop"}))
        async with asyncio.timeout(30):
            while (event := json.loads(await socket.recv()))["type"] != "done":
                finals += [event] if event["type"] == "final" else []
    history = app.state.services.history
    async with asyncio.timeout(20):
        while True:
            await history.writer.written()
            listed = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
            if listed and listed[0]["ended_at"] is not None:
                break
            await asyncio.sleep(0.05)
    assert (listed[0]["kind"], listed[0]["live_session"]) == ("live", ready["session_id"])
    assert listed[0]["credits"] == 2
    lines = (await client.get(f"/api/history/{listed[0]['id']}", headers=someone.headers)).json()["lines"]
    assert finals
    assert [line["sentence"] for line in lines] == [final["sentence"] for final in finals]
    assert [line["lag_ms"] for line in lines] == [final["lag_ms"] for final in finals]


async def test_over_socketio(app: FastAPI, client: httpx.AsyncClient, host: str) -> None:
    someone = await person(app)
    sio = socketio.AsyncClient(reconnection=False)
    saving: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def heard(event: dict[str, Any]) -> None:
        """A `start` replaces the session with the defaults, whose `ready` comes first."""
        if event["type"] == "ready" and event["config"]["save"] and not saving.done():
            saving.set_result(event)

    sio.on("caption", heard)
    await sio.connect(f"http://{host}", auth={"token": someone.access})
    try:
        await sio.emit("start", {"save": True})
        event = await asyncio.wait_for(saving, 20)
    finally:
        await sio.disconnect()
    await app.state.services.history.writer.written()
    listed = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
    assert [entry["live_session"] for entry in listed] == [event["session_id"]]


async def test_over_grpc(tiny_settings: Settings, database_url: str) -> None:
    async with running(guarded(tiny_settings, database_url)) as app, client_of(app) as client:
        someone = await person(app)
        metadata = [("authorization", f"Bearer {someone.access}")]
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with (
            rpc_server(app.state.services, "127.0.0.1", 0) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel,
        ):
            call = captioner_pb2_grpc.CaptionerStub(channel).StreamCaptions(metadata=metadata)
            await call.write(pb.StreamCaptionsRequest(start=pb.Start(save=True)))
            await call.write(pb.StreamCaptionsRequest(stop=pb.Stop()))
            await call.done_writing()
            events = [event async for event in call]
            await clips_over_grpc(app, client, captioner_pb2_grpc.CaptionerStub(channel), await person(app))
        ready = events[0].ready
        assert ready.config.save is True
        await app.state.services.history.writer.written()
        listed = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
        assert [entry["live_session"] for entry in listed] == [ready.session_id]


async def clips_over_grpc(
    app: FastAPI, client: httpx.AsyncClient, stub: captioner_pb2_grpc.CaptionerStub, someone: Person
) -> None:
    """Kept where it is asked for, once for each clip that is paid."""
    points = pb.PackedPoints(float32=performance(60).astype("<f4").tobytes())
    clip = pb.Clip(landmarks=pb.ClipLandmarks(points=points))
    metadata = [("authorization", f"Bearer {someone.access}"), ("idempotency-key", "one")]
    await stub.Recognise(pb.RecogniseRequest(clip=clip), metadata=metadata[:1])
    for _ in range(2):  # the second one gets the answer of the first
        answer = await stub.Recognise(pb.RecogniseRequest(clip=clip, save=True), metadata=metadata)
    batch = pb.RecogniseBatchRequest(clips=[clip, pb.Clip(), clip], save=True)
    results = (await stub.RecogniseBatch(batch, metadata=metadata[:1])).results
    assert [result.problem.code for result in results] == ["", "invalid_request", ""]
    await app.state.services.history.writer.written()
    sessions = (await client.get("/api/history", headers=someone.headers)).json()["sessions"]
    assert [(found["kind"], found["credits"], found["duration_s"]) for found in sessions] == [
        ("clip", 3, answer.duration_s)
    ] * 3
    found = (await client.get(f"/api/history/{sessions[-1]['id']}", headers=someone.headers)).json()
    assert [sign["gloss"] for line in found["lines"] for sign in line["glosses"]] == list(answer.gloss) != []


async def test_without_an_account_nothing_is_kept_over_grpc_either(tiny_settings: Settings) -> None:
    async with (
        running(tiny_settings) as app,
        rpc_server(app.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        stub = captioner_pb2_grpc.CaptionerStub(channel)
        for call in (
            stub.Recognise(pb.RecogniseRequest(clip=pb.Clip(), save=True)),
            stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[pb.Clip()], save=True)),
        ):
            with pytest.raises(grpc.aio.AioRpcError, match="without an account") as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_subtitles_corrections_and_search(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await person(app)
    found = await saved(app, client, someone)
    here = f"/api/history/{found['id']}"
    line = f"{here}/lines/0"
    recognised = found["lines"][0]

    async def get(path: str, **params: Any) -> httpx.Response:
        return await client.get(path, params=params, headers=someone.headers)

    change = {"sentence": "The zebra is <here> & there.", "glosses": ["ZEBRA", "HERE"]}
    answer = await client.patch(line, json=change, headers=someone.headers)
    assert answer.status_code == 200, answer.text
    corrected = answer.json()
    assert corrected["correction"]["sentence"] == change["sentence"]
    assert corrected["correction"]["glosses"] == change["glosses"]
    assert {name: corrected[name] for name in recognised if name != "correction"} == {
        name: recognised[name] for name in recognised if name != "correction"
    }
    answer = await get(here, format="srt")
    assert answer.headers["content-type"] == "application/x-subrip; charset=utf-8"
    assert "The zebra is <here> & there." in answer.text
    answer = await client.get(here, headers={**someone.headers, "Accept": "text/vtt"})
    assert answer.text.startswith("WEBVTT")
    assert "The zebra is &lt;here&gt; &amp; there." in answer.text
    assert [entry["id"] for entry in (await get("/api/history", q="zebras")).json()["sessions"]] == [found["id"]]
    by_gloss = recognised["glosses"][0]["gloss"]
    assert [entry["id"] for entry in (await get("/api/history", q=by_gloss)).json()["sessions"]] == [found["id"]]
    answer = await client.patch(line, json={"sentence": None}, headers=someone.headers)
    assert answer.json()["correction"]["glosses"] == change["glosses"]
    assert (await get(here, format="srt")).status_code == 200
    answer = await client.patch(line, json={"glosses": None}, headers=someone.headers)
    assert answer.json()["correction"] is None
    assert (await get("/api/history", q="zebra")).json()["sessions"] == []
    assert_problem(await client.patch(f"{here}/lines/99", json=change, headers=someone.headers), 404, "not_found")


async def test_pages_and_dates(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await person(app)
    made = [(await saved(app, client, someone))["id"] for _ in range(3)]

    async def get(**params: Any) -> dict[str, Any]:
        answer = await client.get("/api/history", params=params, headers=someone.headers)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    seen, cursor = [], None
    while True:
        body = await get(limit=1, **({} if cursor is None else {"cursor": cursor}))
        seen += [entry["id"] for entry in body["sessions"]]
        cursor = body["cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    second = (await get())["sessions"][1]["started_at"]
    assert [entry["id"] for entry in (await get(since=second))["sessions"]] == made[:0:-1]
    assert [entry["id"] for entry in (await get(until=second))["sessions"]] == made[:1]
    assert (await get(kind="live"))["sessions"] == []


async def test_bad_input(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await person(app)
    found = await saved(app, client, someone)
    here, headers = f"/api/history/{found['id']}", someone.headers
    for odd in (
        *({"cursor": cursor} for cursor in ("x", "%00", "'; --", "MjAyNi0xMS0yNiB4", "é")),
        *({"since": moment} for moment in ("yesterday", "2026-11-26T12:00:00", "0001-01-01T00:00:00+14:00")),
        *({"q": words} for words in ("a\0b", "x" * 201)),
        *({"limit": limit} for limit in (0, -1, 101, "x")),
        {"kind": "film"},
    ):
        assert_problem(await client.get("/api/history", params=odd, headers=headers), 422, "invalid_request")
    for odd in ("'; DROP TABLE caption_lines; --", "' OR 1=1 --", "\\", "🦓", "a:*|b"):
        answer = await client.get("/api/history", params={"q": odd}, headers=headers)
        assert answer.status_code == 200, odd
        assert answer.json()["sessions"] == []
    for odd in ("1", "' OR '1'='1", str(uuid4())[:-1]):
        assert_problem(await client.get(f"/api/history/{odd}", headers=headers), 422, "invalid_request")
    for number in ("-1", "x", str(2**31)):
        answer = await client.patch(f"{here}/lines/{number}", json={"sentence": "x"}, headers=headers)
        assert_problem(answer, 422, "invalid_request")
    for body in (
        *({"sentence": text} for text in ("", "a\0b", "x" * 2001, 5, ["x"])),
        *({"glosses": glosses} for glosses in ("HELLO", [""], ["x" * 65], ["A\0"], ["A"] * 201, [None])),
        *({}, [], "x", None, {"number": 3}, {"sentence": "x", "user_id": someone.id}),
    ):
        assert_problem(await client.patch(f"{here}/lines/0", json=body, headers=headers), 422, "invalid_request")
    surrogate = b'{"sentence": "\\ud800"}'
    sent = {**headers, "content-type": "application/json"}
    answer = await client.patch(f"{here}/lines/0", content=surrogate, headers=sent)
    assert_problem(answer, 422, "invalid_request")
    answer = await client.patch(f"{here}/lines/0", json={"sentence": "x" * 10**7}, headers=headers)
    assert_problem(answer, 413, "upload_too_large")
    assert (await client.get(here, headers=headers)).json() == found


async def test_others_objects_do_not_exist(app: FastAPI, client: httpx.AsyncClient) -> None:
    owner, other = await person(app), await person(app, "admin")
    found = await saved(app, client, owner)
    here = f"/api/history/{found['id']}"
    key = await key_of(app, other, "history")
    for headers in (other.headers, {"X-API-Key": key}):
        assert (await client.get("/api/history", headers=headers)).json()["sessions"] == []
        for form in ("json", "srt", "vtt"):
            assert_problem(await client.get(here, params={"format": form}, headers=headers), 404, "not_found")
        answer = await client.patch(f"{here}/lines/0", json={"sentence": "mine"}, headers=headers)
        assert_problem(answer, 404, "not_found")
        assert_problem(await client.delete(here, headers=headers), 404, "not_found")
    assert (await client.get(here, headers=owner.headers)).json() == found
    key = await key_of(app, owner, "history")
    assert (await client.get(here, headers={"X-API-Key": key})).json() == found
    assert (await client.delete(here, headers=owner.headers)).status_code == 204
    assert_problem(await client.get(here, headers=owner.headers), 404, "not_found")
    assert_problem(await client.delete(here, headers=owner.headers), 404, "not_found")


async def test_export_and_the_end_of_an_account(app: FastAPI, client: httpx.AsyncClient) -> None:
    someone = await person(app)
    found = await saved(app, client, someone)
    key = await key_of(app, someone, "history")
    answer = await client.get("/api/account/export", headers=someone.headers)
    assert answer.headers["content-disposition"].startswith("attachment")
    whole = answer.json()
    assert whole["account"]["email"] == someone.email
    assert [entry["id"] for entry in whole["history"]] == [found["id"]]
    assert whole["history"][0]["lines"][0]["sentence"] == found["lines"][0]["sentence"]
    assert sum(entry["amount"] for entry in whole["ledger"]) == whole["ledger"][0]["balance"]
    assert "digest" not in answer.text
    assert PASSWORD not in answer.text
    assert "argon2" not in answer.text

    async def remove(password: Any, token: str = someone.access) -> httpx.Response:
        body, sent = {"password": password}, {"Authorization": f"Bearer {token}"}
        return await client.request("DELETE", "/api/account", json=body, headers=sent)

    assert_problem(await remove("seven quiet herrings"), 401, "bad_credentials")
    assert_problem(await remove(5), 422, "invalid_request")
    assert_problem(await remove(PASSWORD, key), 403, "forbidden")
    database, user = app.state.services.database, UUID(someone.id)
    subscribed = (
        "INSERT INTO subscriptions (user_id, plan, source, status) VALUES (:user, 'pro', 'stripe', 'active') "
        "RETURNING plan"
    )
    await rows(database, subscribed, user=user)
    assert_problem(await remove(PASSWORD), 409, "subscription_running")
    await rows(database, "UPDATE subscriptions SET ends_at_period_end = true WHERE user_id = :u RETURNING plan", u=user)
    before = await rows(database, "SELECT count(*), sum(amount) FROM ledger")
    assert (await remove(PASSWORD)).status_code == 204
    assert await rows(database, "SELECT count(*), sum(amount) FROM ledger") == before
    assert await rows(database, "SELECT * FROM ledger WHERE user_id = :user", user=user) == []
    for table in ("caption_sessions", "api_keys", "subscriptions"):
        assert await rows(database, f"SELECT * FROM {table} WHERE user_id = :user", user=user) == [], table
    assert_problem(await client.get("/api/history", headers=someone.headers), 401, "unauthenticated")
    assert_problem(await client.get("/api/history", headers={"X-API-Key": key}), 401, "unauthenticated")
    answer = await client.post("/api/auth/sign-in", json={"email": someone.email, "password": PASSWORD})
    assert_problem(answer, 401, "bad_credentials")


async def test_the_only_admin_stays(tiny_settings: Settings, database_url: str) -> None:
    async with running(guarded(tiny_settings, database_url)) as app, client_of(app) as client:
        admin = await person(app, "admin")
        body = {"password": PASSWORD}
        answer = await client.request("DELETE", "/api/account", json=body, headers=admin.headers)
        assert_problem(answer, 403, "forbidden")
        await person(app, "admin")
        answer = await client.request("DELETE", "/api/account", json=body, headers=admin.headers)
        assert answer.status_code == 204


async def test_what_cannot_be_promised_is_refused_first(
    app: FastAPI, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = await person(app)
    monkeypatch.setattr(writer, "MAX_WAITING", 0)
    answer = await client.post(f"{CLIP}?save=true", files={"file": ("a.npz", npz(60))}, headers=someone.headers)
    assert_problem(answer, 503, "database_unavailable")
    assert (
        await rows(
            app.state.services.database,
            "SELECT * FROM ledger WHERE kind = 'debit' AND user_id = :u",
            u=UUID(someone.id),
        )
        == []
    )

"""Teaching over HTTP, and what was taught at every door."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
import socketio
import websockets
from fastapi import FastAPI
from pydantic import SecretStr

from app.core.settings import Settings
from app.pipeline.keypoints import LEFT_HAND, Keypoints
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.rpc.server import rpc_server
from app.services.signs import service
from tests.conftest import fresh_database
from tests.support.accounts import client_of, guarded, person, running
from tests.support.problems import assert_problem
from tests.support.recognisers import varied
from tests.support.serving import served
from tests.support.teaching import SETS, clip, made, npz, record, sign_in, taught

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def app(tiny_settings: Settings, postgres: str) -> AsyncIterator[FastAPI]:
    with fresh_database(postgres) as database:
        settings = tiny_settings.model_copy(update={"database_url": SecretStr(database)})
        async with running(settings) as app:
            yield app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


async def read(client: httpx.AsyncClient, seed: int, **query: Any) -> httpx.Response:
    files = {"file": ("clip.npz", npz(clip(seed, 7)))}
    return await client.post("/api/inference/landmarks", files=files, params=query)


async def test_a_sign_is_taught_and_read(client: httpx.AsyncClient) -> None:
    set_id = await taught(client, GRANDMA=21, Garten=22)
    contents = (await client.get(f"{SETS}/{set_id}")).json()
    assert [(s["gloss"], len(s["recordings"]), s["read_back"]["of"]) for s in contents["signs"]] == [
        ("GRANDMA", 2, 2),
        ("GARTEN", 2, 2),
    ]
    assert contents["readable"] is True
    assert not any(r["landmarks"] for s in contents["signs"] for r in s["recordings"])
    for seed, gloss in ((21, "GRANDMA"), (22, "GARTEN")):
        answer = (await read(client, seed, sign_sets=set_id)).json()
        assert Counter(answer["gloss"]).most_common(1)[0][0] == gloss, answer  # the tiny network knows no sign
        assert answer["vocabulary"] == "Family"
    body = {"points": clip(22, 8).points.tolist(), "fps": 25, "sign_sets": [set_id]}
    said = (await client.post("/api/inference/landmarks", json=body)).json()["gloss"]
    assert Counter(said).most_common(1)[0][0] == "GARTEN"
    listed = (await client.get(SETS)).json()["sets"]
    assert [(s["signs"], s["recordings"]) for s in listed if s["id"] == set_id] == [(2, 4)]


async def test_json_landmarks_teach_as_well(client: httpx.AsyncClient) -> None:
    set_id = await made(client, keep_landmarks=True)
    sign_id = await sign_in(client, set_id, "奶奶")
    where = f"{SETS}/{set_id}/signs/{sign_id}/recordings"
    answer = await client.post(where, json={"points": clip(23).points.tolist(), "fps": 25})
    assert answer.status_code == 201, answer.text
    assert answer.json()["recording"]["landmarks"] is True
    assert answer.json()["sign"]["gloss"] == "奶奶"
    assert answer.json()["notes"] == []
    assert set((await read(client, 23, sign_sets=set_id)).json()["gloss"]) == {"奶奶"}
    assert (await client.patch(f"{SETS}/{set_id}", json={"keep_landmarks": False})).status_code == 200
    contents = (await client.get(f"{SETS}/{set_id}")).json()
    assert contents["signs"][0]["recordings"][0]["landmarks"] is False


async def test_recordings_that_cannot_be_learned_from(client: httpx.AsyncClient) -> None:
    set_id = await made(client)
    sign_id = await sign_in(client, set_id, "A")
    empty = clip(24).points.copy()
    empty[:, LEFT_HAND.start :] = 0
    answer = await record(client, set_id, sign_id, Keypoints.at_rate(empty, 25))
    assert_problem(answer, 422, "recording_refused")
    assert answer.json()["reason"] == "no_hands"
    long = await record(client, set_id, sign_id, Keypoints.at_rate(varied(400).points, 25))
    assert long.json()["reason"] == "too_long"
    assert (await client.get(f"{SETS}/{set_id}")).json()["signs"][0]["recordings"] == []
    nothing = await read(client, 24, sign_sets=set_id)
    assert_problem(nothing, 409, "signs_outdated")


async def test_different_signs_under_one_name_need_insistence(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tiny network hardly tells signs apart, so the bar is raised."""
    monkeypatch.setattr("app.pipeline.module3_sequence.teaching.ONE_SIGN", 0.99999)
    monkeypatch.setattr("app.pipeline.module3_sequence.teaching.ALIKE", 0.99999)
    set_id = await made(client)
    sign_id = await sign_in(client, set_id, "A")
    assert (await record(client, set_id, sign_id, clip(31))).status_code == 201
    second = await record(client, set_id, sign_id, clip(32))
    assert [note["code"] for note in second.json()["notes"]] == ["different"]
    third = await record(client, set_id, sign_id, clip(33))
    assert_problem(third, 409, "different_signs")
    insisted = await record(client, set_id, sign_id, clip(33), insist=True)
    assert "different_signs" in [note["code"] for note in insisted.json()["notes"]]
    assert insisted.json()["sign"]["read_back"]["of"] == 3
    for recording in insisted.json()["sign"]["recordings"][:2]:
        where = f"{SETS}/{set_id}/signs/{sign_id}/recordings/{recording['id']}"
        assert (await client.delete(where)).status_code == 204
        assert_problem(await client.delete(where), 404, "unknown_sign_set")


async def test_names(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    set_id = await made(client)
    sign_id = await sign_in(client, set_id, "grand ma")
    again = await client.post(f"{SETS}/{set_id}/signs", json={"name": "GRAND-MA"})
    assert_problem(again, 409, "sign_exists")
    for bad in ("x" * 5000, "a\u202eb", "\x07", "a,b"):
        assert (await client.post(f"{SETS}/{set_id}/signs", json={"name": bad})).status_code == 422
        assert (await client.patch(f"{SETS}/{set_id}", json={"name": bad})).status_code in (200, 422)
    renamed = await client.patch(f"{SETS}/{set_id}/signs/{sign_id}", json={"name": "Nana"})
    assert renamed.json()["gloss"] == "NANA"
    monkeypatch.setattr(service, "MAX_SIGNS", 1)
    full = await client.post(f"{SETS}/{set_id}/signs", json={"name": "more"})
    assert_problem(full, 409, "too_many_signs")
    assert (await client.delete(f"{SETS}/{set_id}/signs/{sign_id}")).status_code == 204
    assert (await client.delete(f"{SETS}/{set_id}")).status_code == 204
    assert_problem(await client.get(f"{SETS}/{set_id}"), 404, "unknown_sign_set")


async def test_a_set_is_shared_by_a_token_until_it_is_withdrawn(client: httpx.AsyncClient) -> None:
    set_id = await taught(client, "Shared", GRANDMA=21)
    token = (await client.post(f"{SETS}/{set_id}/share")).json()["token"]
    shown = (await client.post(f"{SETS}/shared", json={"token": token})).json()
    assert shown == {"name": "Shared", "sign_language": "bfi", "readable": True, "glosses": ["GRANDMA"]}
    assert set((await read(client, 21, sign_sets=token)).json()["gloss"]) == {"GRANDMA"}
    copy = await client.post(f"{SETS}/copy", json={"token": token})
    assert copy.status_code == 201
    assert set((await read(client, 21, sign_sets=copy.json()["id"])).json()["gloss"]) == {"GRANDMA"}
    assert (await client.delete(f"{SETS}/{set_id}/share")).status_code == 204
    for answer in (await client.post(f"{SETS}/shared", json={"token": token}), await read(client, 21, sign_sets=token)):
        assert_problem(answer, 404, "unknown_sign_set")


async def test_a_set_goes_into_a_file_and_comes_back(client: httpx.AsyncClient) -> None:
    set_id = await taught(client, "Exported", GRANDMA=21)
    file = (await client.get(f"{SETS}/{set_id}/export")).content
    again = await client.post(f"{SETS}/import", content=file)
    assert again.status_code == 201, again.text
    assert set((await read(client, 21, sign_sets=again.json()["id"])).json()["gloss"]) == {"GRANDMA"}
    whole = json.loads(file)
    newer = whole | {"version": 2}
    many = whole | {"signs": [{"gloss": f"S{i}", "recordings": []} for i in range(10_000)]}
    for hostile in (file[:-5], json.dumps(newer).encode(), json.dumps(many).encode(), b"[" * 10_000, b"\x00"):
        assert_problem(await client.post(f"{SETS}/import", content=hostile), 422, "invalid_sign_file")


async def test_a_set_of_another_recogniser_is_embedded_again_where_landmarks_were_kept(
    app: FastAPI, client: httpx.AsyncClient
) -> None:
    from sqlalchemy import update

    from app.db.models.signs import SignRecording

    without = await taught(client, "Forgotten", GRANDMA=21)
    kept = await made(client, "Kept", keep_landmarks=True)
    sign_id = await sign_in(client, kept, "GARDEN")
    assert (await record(client, kept, sign_id, clip(22))).status_code == 201
    async with app.state.services.database.session() as session:
        await session.execute(update(SignRecording).values(space="another/1"))
    assert (await client.get(f"{SETS}/{without}")).json()["readable"] is False
    assert (await client.get(f"{SETS}/{kept}")).json()["readable"] is True
    assert_problem(await read(client, 21, sign_sets=without), 409, "signs_outdated")
    assert set((await read(client, 22, sign_sets=kept)).json()["gloss"]) == {"GARDEN"}


async def test_unknown_sets_are_refused_before_anything_is_read(client: httpx.AsyncClient) -> None:
    for wrong in ("x", "gs_nothing", "0" * 32, "../..", "gs_" + "x" * 500):
        assert_problem(await read(client, 21, sign_sets=wrong), 404, "unknown_sign_set")
    many = ",".join(str(i) for i in range(9))
    assert_problem(await read(client, 21, sign_sets=many), 422, "invalid_request")


async def test_live_captions_read_with_a_set(app: FastAPI, client: httpx.AsyncClient) -> None:
    set_id = await taught(client, "Live", GARDEN=22)
    points = clip(22, 9).points
    async with served(app) as host:
        async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
            await socket.send(json.dumps({"type": "start", "sign_sets": [set_id]}))
            ready = json.loads(await socket.recv())
            assert ready["type"] == "ready", ready
            assert ready["vocabulary"]["name"] == "Live"
            for i, frame in enumerate(points):
                await socket.send(json.dumps({"type": "landmarks", "points": frame.tolist(), "timestamp": i * 40}))
            await socket.send(json.dumps({"type": "stop"}))
            events = [json.loads(event) async for event in socket]
            finals = [event for event in events if event["type"] == "final"]
            assert {g["gloss"] for event in finals for g in event["gloss"]} == {"GARDEN"}, events
        async with websockets.connect(f"ws://{host}/api/ws/stream") as socket:
            await socket.send(json.dumps({"type": "start", "sign_sets": ["00000000-0000-0000-0000-000000000000"]}))
            assert json.loads(await socket.recv())["code"] == "unknown_sign_set"
        talker = socketio.AsyncSimpleClient()
        await talker.connect(f"http://{host}?sign_sets={set_id}", transports=["websocket"])
        event = await talker.receive(timeout=10)
        while event[0] != "caption":
            event = await talker.receive(timeout=10)
        assert event[1]["vocabulary"]["name"] == "Live"
        await talker.disconnect()


async def test_grpc_reads_with_a_set(tiny_settings: Settings, database_url: str) -> None:
    """In an application of its own: the end of a gRPC server ends all live sessions."""
    async with (
        running(tiny_settings.model_copy(update={"database_url": SecretStr(database_url)})) as app,
        client_of(app) as client,
        rpc_server(app.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        set_id = await taught(client, "Rpc", GARDEN=22)
        stub = CaptionerStub(channel)
        points = pb.PackedPoints(float32=clip(22, 7).points.astype("<f4").tobytes())
        asked = pb.Clip(landmarks=pb.ClipLandmarks(points=points, fps=25))
        answer = await stub.Recognise(pb.RecogniseRequest(clip=asked, sign_sets=[set_id]))
        assert {segment.gloss for segment in answer.segments} == {"GARDEN"}
        assert answer.vocabulary == "Rpc"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Recognise(pb.RecogniseRequest(clip=asked, sign_sets=["gs_nothing"]))
        assert refused.value.code() == grpc.StatusCode.NOT_FOUND
        start = pb.StreamCaptionsRequest(start=pb.Start(sign_sets=[set_id]))
        call = stub.StreamCaptions(iter([start, pb.StreamCaptionsRequest(stop=pb.Stop())]))
        ready = await call.read()
        assert ready.ready.vocabulary.name == "Rpc"
        assert list(ready.ready.config.sign_sets) == [set_id]


async def test_sets_of_others_are_not_found(tiny_settings: Settings, postgres: str) -> None:
    with fresh_database(postgres) as database:
        async with running(guarded(tiny_settings, database)) as app:
            ann, bob = await person(app), await person(app)
            async with client_of(app, **ann.headers) as anns, client_of(app, **bob.headers) as bobs:
                set_id = await taught(anns, GRANDMA=21)
                sign_id = (await anns.get(f"{SETS}/{set_id}")).json()["signs"][0]["id"]
                one = f"{SETS}/{set_id}"
                answers = [
                    await bobs.get(one),
                    await bobs.patch(one, json={"name": "Mine"}),
                    await bobs.delete(one),
                    await bobs.get(f"{one}/export"),
                    await bobs.post(f"{one}/share"),
                    await bobs.post(f"{one}/signs", json={"name": "x"}),
                    await bobs.patch(f"{one}/signs/{sign_id}", json={"name": "x"}),
                    await bobs.delete(f"{one}/signs/{sign_id}"),
                    await record(bobs, set_id, sign_id, clip(21)),
                    await read(bobs, 21, sign_sets=set_id),
                ]
                for answer in answers:
                    assert_problem(answer, 404, "unknown_sign_set")
                mine = await made(bobs)
                assert_problem(
                    await bobs.patch(f"{SETS}/{mine}/signs/{sign_id}", json={"name": "x"}), 404, "unknown_sign_set"
                )
                assert (await bobs.get(SETS)).json()["sets"][0]["id"] == mine
                assert (await anns.get(one)).status_code == 200
                exported = (await anns.get("/api/account/export")).json()["sign_sets"]
                assert [(one["name"], [sign["gloss"] for sign in one["signs"]]) for one in exported] == [
                    ("Family", ["GRANDMA"])
                ]
                assert len(exported[0]["signs"][0]["recordings"]) == 2
                assert "share_digest" not in exported[0]
                for _ in range(2):
                    await made(bobs)
                limited = await bobs.post(SETS, json={"name": "4", "sign_language": "ase"})
                assert_problem(limited, 403, "plan_limit")
                assert limited.json()["limit"] == "sign_sets"

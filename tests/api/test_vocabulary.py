"""Vocabularies over HTTP, WebSocket and Socket.IO, with a checkpoint that has some."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
import pytest_asyncio
import socketio
from fastapi import FastAPI

from app.core.settings import Settings
from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND
from app.services.captions.commands import BINARY_HEADER
from tests.api.test_captions_socketio import Client as SocketIOClient
from tests.api.test_captions_socketio import connected as socketio_connected
from tests.api.test_captions_ws import connected
from tests.conftest import GLOSSES, VOCABULARIES
from tests.support.media import jpeg, npz, video
from tests.support.problems import assert_problem
from tests.support.recognisers import performance
from tests.support.serving import client_of, running, served

pytestmark = pytest.mark.asyncio(loop_scope="session")
LANDMARKS, FRAMES, PREDICT = (f"/api/inference/{name}" for name in ("landmarks", "frames", "predict"))
TOO_MANY = [f"GLOSS-{number}" for number in range(10_000)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def application(tiny_settings: Settings, vocabulary_checkpoints: Path) -> AsyncIterator[FastAPI]:
    async with running(tiny_settings.model_copy(update={"checkpoint_dir": vocabulary_checkpoints})) as app:
        yield app


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as session:
        yield session


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def host(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as address:
        yield address


def landmarks_json(**more: Any) -> dict[str, Any]:
    return {"fps": 25, "points": performance(60).round(4).tolist(), **more}


async def test_the_vocabularies_and_their_labels(client: httpx.AsyncClient) -> None:
    body = (await client.get("/api/vocabularies")).json()
    assert (body["model"], body["default"]) == ("tiny", "everyday")
    found = {entry["name"]: entry for entry in body["vocabularies"]}
    assert {name: tuple(entry["glosses"]) for name, entry in found.items()} == {**VOCABULARIES, "all": GLOSSES}
    assert [name for name, entry in found.items() if entry["default"]] == ["everyday"]
    assert found["core"]["size"] == 2
    assert found["core"]["dev"] == {"exact": 0.75}
    assert found["all"]["dev"] is None

    assert (await client.get("/labels")).json() == {"0": "hello", "1": "thank-you", "2": "you", "3": "name"}
    assert [label["gloss"] for label in (await client.get("/api/labels")).json()["labels"]] == list(
        VOCABULARIES["everyday"]
    )
    core = (await client.get("/api/labels", params={"vocabulary": "core"})).json()
    assert core["labels"] == [{"id": 1, "gloss": "HELLO"}, {"id": 5, "gloss": "WHAT"}]
    assert_problem(await client.get("/api/labels", params={"vocabulary": "cor"}), 422, "unknown_vocabulary")


async def test_a_clip_is_read_with_what_its_request_asks_for(client: httpx.AsyncClient) -> None:
    default = (await client.post(LANDMARKS, json=landmarks_json())).json()
    assert default["vocabulary"] == "everyday"
    assert set(default["gloss"]) <= set(VOCABULARIES["everyday"])
    assert default["warnings"] == []

    core = (await client.post(LANDMARKS, json=landmarks_json(), params={"vocabulary": "core"})).json()
    assert core["vocabulary"] == "core"
    assert set(core["gloss"]) <= set(VOCABULARIES["core"])
    assert core["segments"]
    assert all(segment["unsure"] for segment in core["segments"])
    assert [warning["code"] for warning in core["warnings"]] == ["low_confidence"]

    for asked in ({"json": landmarks_json(vocabulary=["you", "NAME"])}, {"json": landmarks_json(vocabulary="core")}):
        found = (await client.post(LANDMARKS, **asked, params={"vocabulary": "all"})).json()  # the body goes before
        expected = asked["json"]["vocabulary"]
        assert found["vocabulary"] == ("core" if expected == "core" else "custom")
    form = {"files": {"file": ("clip.npz", npz(60))}, "data": {"vocabulary": "YOU,thank you"}}
    found = (await client.post(LANDMARKS, **form)).json()  # type: ignore[arg-type]
    assert found["vocabulary"] == "custom"
    assert set(found["gloss"]) <= {"YOU", "THANK-YOU"}


async def test_videos_and_frames_take_a_vocabulary_too(client: httpx.AsyncClient, tmp_path: Path) -> None:
    clip = {"file": ("clip.mp4", video(tmp_path / "clip.mp4", frames=10).read_bytes())}
    for how in ({"params": {"vocabulary": "core"}}, {"data": {"vocabulary": "core"}}):
        assert (await client.post(PREDICT, files=clip, **how)).json()["vocabulary"] == "core"  # type: ignore[arg-type]
    frames = {"frames": [base64.b64encode(jpeg(64, 48)).decode()] * 2}
    assert (await client.post(FRAMES, json=frames)).json()["vocabulary"] == "everyday"
    for more in ({"vocabulary": "core"}, {"vocabulary": ["HELLO"]}):
        found = (await client.post(FRAMES, json={**frames, **more})).json()
        assert found["vocabulary"] == ("core" if more["vocabulary"] == "core" else "custom")


@pytest.mark.parametrize("wrong", ["cor", "", [], ["HELO"], [""], TOO_MANY], ids=lambda wrong: str(wrong)[:20])
async def test_a_wrong_vocabulary_is_one_documented_error(client: httpx.AsyncClient, wrong: str | list[str]) -> None:
    frames = [base64.b64encode(jpeg(64, 48)).decode()]
    assert_problem(await client.post(LANDMARKS, json=landmarks_json(vocabulary=wrong)), 422, "unknown_vocabulary")
    assert_problem(await client.post(FRAMES, json={"frames": frames, "vocabulary": wrong}), 422, "unknown_vocabulary")
    as_text = wrong if isinstance(wrong, str) else ",".join(wrong) + ","
    for route in (PREDICT, LANDMARKS):
        form = await client.post(route, files={"file": ("clip.npz", npz(10))}, data={"vocabulary": as_text})
        assert_problem(form, 422, "unknown_vocabulary")
    if len(as_text) < 1000:
        for route in (PREDICT, LANDMARKS, FRAMES):  # before anything of the body is looked at
            headers = {"content-type": "application/json"}
            asked = await client.post(route, content=b"nothing", params={"vocabulary": as_text}, headers=headers)
            assert_problem(asked, 422, "unknown_vocabulary")


async def test_lists_keep_within_the_limits_of_their_bodies(client: httpx.AsyncClient) -> None:
    commas = landmarks_json(vocabulary=[""] * 30_000)
    assert_problem(await client.post(LANDMARKS, json=commas), 422, "unknown_vocabulary")
    assert_problem(
        await client.post(FRAMES, json={"frames": ["x"], "vocabulary": [""] * 60_000}), 422, "invalid_request"
    )
    big = {"vocabulary": "HELLO," * 100_000}
    answer = await client.post(LANDMARKS, files={"file": ("clip.npz", npz(10))}, data=big)
    assert_problem(answer, 422, "unknown_vocabulary")
    for wrong in (7, [7], {"name": "core"}):
        for route, body in ((LANDMARKS, landmarks_json()), (FRAMES, {"frames": ["x"]})):
            assert_problem(await client.post(route, json={**body, "vocabulary": wrong}), 422, "invalid_request")
    twice = [("vocabulary", (None, "core")), ("vocabulary", (None, "all")), ("file", ("clip.npz", npz(10)))]
    assert_problem(await client.post(LANDMARKS, files=twice), 400, "malformed_request")


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("*/*", "", "application/json"),
        ("text/html", "", "application/json"),
        ("text/vtt", "", "text/vtt"),
        ("application/x-subrip", "", "application/x-subrip"),
        ("application/json;q=0.5, text/vtt;q=x, application/x-subrip;q=0.9", "", "application/x-subrip"),
        ("text/vtt;q=0.1, application/json", "", "application/json"),
        ("text/vtt;q=0", "", "application/json"),
        ("text/vtt", "json", "application/json"),
        ("*/*", "vtt", "text/vtt"),
        ("*/*", "srt", "application/x-subrip"),
    ],
)
async def test_subtitles_are_asked_for_by_header_or_query(
    client: httpx.AsyncClient, accept: str, query: str, kind: str
) -> None:
    params = {"vocabulary": "core", **({"format": query} if query else {})}
    answer = await client.post(LANDMARKS, json=landmarks_json(), params=params, headers={"accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == kind
    if kind == "text/vtt":
        assert answer.text.startswith("WEBVTT\n\n00:00:0")
    elif kind != "application/json":
        assert answer.text.startswith("1\n00:00:0")
        assert "[?]" in answer.text  # `core` is never sure


async def test_json_with_subtitles_has_those_of_webvtt(client: httpx.AsyncClient) -> None:
    params = {"vocabulary": "core", "format": "cues"}
    body = (await client.post(LANDMARKS, json=landmarks_json(), params=params)).json()
    plain = (await client.post(LANDMARKS, json=landmarks_json(), params=params | {"format": "json"})).json()
    shown = (await client.post(LANDMARKS, json=landmarks_json(), params=params | {"format": "vtt"})).text
    cues = body.pop("cues")
    assert cues
    assert shown.count(" --> ") == len(cues)
    assert all(cue["text"] in shown and 0 <= cue["start_s"] < cue["end_s"] for cue in cues)
    assert body.keys() == plain.keys()


async def test_a_video_without_signs_has_no_subtitles(client: httpx.AsyncClient, tmp_path: Path) -> None:
    clip = {"file": ("clip.mp4", video(tmp_path / "clip.mp4", frames=10).read_bytes())}
    assert (await client.post(PREDICT, files=clip, params={"format": "vtt"})).text == "WEBVTT\n"
    frames = {"frames": [base64.b64encode(jpeg(64, 48)).decode()] * 2}
    assert (await client.post(FRAMES, json=frames, params={"format": "srt"})).text == ""
    assert_problem(await client.post(FRAMES, json=frames, params={"format": "ass"}), 422, "invalid_request")


async def test_a_live_session_chooses_and_changes_its_vocabulary(host: str) -> None:
    async with connected(f"ws://{host}/ws/stream") as client:
        await client.send(type="start", vocabulary="core", endpoint_ms=10_000)
        ready = await client.until("ready")
        assert ready["config"]["vocabulary"] == "core"
        assert ready["vocabulary"] == {"name": "core", "glosses": 2}
        await client.perform(60)
        await client.send(type="flush")
        first = await client.until("final")
        await client.send(type="vocabulary", vocabulary=["HELO"])
        error = await client.until("error")
        assert (error["code"], error["fatal"]) == ("unknown_vocabulary", False)
        assert "nearest: HELLO" in error["message"]
        await client.send(type="vocabulary", vocabulary=TOO_MANY)
        assert (await client.until("error"))["code"] == "unknown_vocabulary"
        await client.send(type="vocabulary")
        assert (await client.until("error"))["code"] == "invalid_message"
        await client.send(type="vocabulary", vocabulary=["YOU", "NAME", "THANK-YOU"])
        assert (await client.until("vocabulary"))["vocabulary"] == {"name": "custom", "glosses": 3}
        await client.perform(60, start_us=2_400_000, seed=1)
        await client.send(type="stop")
        await client.until("done")
        second = [event for event in client.events if event["type"] == "final"][-1]
    assert first["vocabulary"] == "core"
    assert {gloss["gloss"] for gloss in first["gloss"]} <= set(VOCABULARIES["core"])
    assert all(gloss["unsure"] for gloss in first["gloss"])
    assert second["vocabulary"] == "custom"
    assert {gloss["gloss"] for gloss in second["gloss"]} <= {"YOU", "NAME", "THANK-YOU"}


@pytest.mark.parametrize("wrong", ["cor", "", [], ["HELO"], TOO_MANY], ids=lambda wrong: str(wrong)[:20])
async def test_a_session_that_asks_for_a_wrong_vocabulary_does_not_begin(host: str, wrong: str | list[str]) -> None:
    async with connected(f"ws://{host}/ws/stream") as client:
        await client.send(type="start", vocabulary=wrong)
        assert await client.closed() == 4400
    (error,) = client.events
    assert (error["code"], error["fatal"]) == ("unknown_vocabulary", True)


async def test_a_socketio_connection_names_its_vocabulary_in_its_query(host: str) -> None:
    async with socketio_connected(f"http://{host}?vocabulary=HELLO,YOU") as client:
        assert (await client.caption("ready"))["vocabulary"] == {"name": "custom", "glosses": 2}
        await client.sio.emit("start", {"endpoint_ms": 5000})  # a start that names none
        await client.until(lambda: len(client.captions("ready")) == 2)
        assert client.captions("ready")[-1]["vocabulary"]["name"] == "custom"
        await client.sio.emit("vocabulary", {"vocabulary": "core"})
        assert (await client.caption("vocabulary"))["vocabulary"]["name"] == "core"


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("evryday", "did you mean 'everyday'"),
        ("", "There is no vocabulary ''"),
        (",", "The list of glosses is empty"),
        ("HELO,YOU", "HELO (nearest: HELLO)"),
    ],
    ids=["name", "no name", "empty", "unknown"],
)
async def test_a_socketio_client_with_a_wrong_vocabulary_is_refused_as_it_connects(
    host: str, application: FastAPI, transport: str, asked: str, says: str
) -> None:
    sio = socketio.AsyncClient(reconnection=False)
    refusals: list[dict[str, Any]] = []
    sio.on("connect_error", refusals.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await asyncio.wait_for(sio.connect(f"http://{host}?vocabulary={asked}", transports=[transport]), 20)
    assert says in refusals[0]["message"]
    assert refusals[0]["data"] == {"code": "unknown_vocabulary", "close": 4400}
    assert application.state.services.captions.streams.in_use == 0


async def test_ten_thousand_glosses_in_the_query_of_a_socketio_client(host: str) -> None:
    """Over polling, since the request line of a WebSocket's handshake is limited to 8 KiB."""
    sio = socketio.AsyncClient(reconnection=False)
    refusals: list[dict[str, Any]] = []
    sio.on("connect_error", refusals.append)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await asyncio.wait_for(sio.connect(f"http://{host}?vocabulary={'A,' * 10_000}", transports=["polling"]), 20)
    assert "more than 5000 glosses" in refusals[0]["message"]


async def test_a_socketio_client_that_leaves_while_its_glosses_are_looked_up_takes_no_place(
    host: str, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = application.state.services.captions
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow(*wanted: object) -> None:
        asked.set()
        await go_on.wait()

    monkeypatch.setattr(hub, "check_vocabulary", slow)
    opened = hub.metrics.live_opened._value.get()
    url = f"http://{host}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        sid = json.loads((await (await http.get(url)).text())[1:])["sid"]
        connecting = asyncio.create_task(http.post(f"{url}&sid={sid}", data=b"40"))
        await asyncio.wait_for(asked.wait(), 10)
        await http.post(f"{url}&sid={sid}", data=b"1")  # the transport is closed
        go_on.set()
        await connecting
    await asyncio.sleep(0.1)
    assert hub.metrics.live_opened._value.get() == opened
    assert hub.streams.in_use == 0


async def test_the_answer_of_predict_is_documented_in_all_its_forms(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]
    for route in (PREDICT, FRAMES, LANDMARKS):
        answers = paths[route]["post"]["responses"]["200"]["content"]
        assert set(answers) == {"application/json", "text/vtt", "application/x-subrip"}
        parameters = {parameter["name"] for parameter in paths[route]["post"]["parameters"]}
        assert parameters == {"vocabulary", "sign_sets", "format", "language", "save", "Idempotency-Key"}
    assert json.dumps(paths[PREDICT]).count("unknown_vocabulary") >= 1


def handless(frames: int = 60) -> np.ndarray:
    points = performance(frames)
    points[:, LEFT_HAND] = points[:, RIGHT_HAND] = 0
    return points


@pytest.mark.parametrize("vocabulary", [None, "all", "core", ["HELLO", "YOU"]], ids=str)
async def test_where_no_hand_appears_nothing_is_read(
    client: httpx.AsyncClient, host: str, vocabulary: str | list[str] | None
) -> None:
    body = {"fps": 25, "points": handless().round(4).tolist(), "vocabulary": vocabulary}
    answer = (await client.post(LANDMARKS, json=body)).json()
    assert (answer["gloss"], answer["sentence"]) == ([], "")
    assert [warning["code"] for warning in answer["warnings"]] == ["no_hands"]
    async with connected(f"ws://{host}/ws/stream") as live:
        await live.send(type="start", vocabulary=vocabulary)
        for start in range(0, 60, 10):
            await live.landmarks(handless()[start : start + 10], start * 40_000)
        await live.send(type="stop")
        done = await live.until("done")
    assert (done["usage"]["used"], done["usage"]["segments"]) == (60, 0)
    assert not [event for event in live.events if event["type"] == "final"]


@pytest.mark.parametrize("transport", ["websocket", "socketio"])
async def test_a_change_in_the_middle_of_a_sentence_is_for_the_next_one(host: str, transport: str) -> None:
    begun, ended = {"vocabulary": "core", "endpoint_ms": 10_000}, {"vocabulary": ["YOU", "NAME"]}
    if transport == "websocket":
        async with connected(f"ws://{host}/ws/stream") as client:
            await client.send(type="start", **begun)
            await client.perform(60)
            assert (await client.until("partial"))["gloss"]  # the sentence has begun
            await client.send(type="vocabulary", **ended)
            await client.until("vocabulary")
            await client.perform(60, start_us=2_400_000, seed=1)
            await client.send(type="flush")
            await client.until("final")
            await client.perform(60, start_us=4_800_000, seed=2)
            await client.send(type="stop")
            await client.until("done")
            finals = [event for event in client.events if event["type"] == "final"]
    else:
        async with socketio_connected(f"http://{host}") as sio:
            await sio.caption("ready")
            await sio.sio.emit("start", begun)
            await sio.until(lambda: len(sio.captions("ready")) == 2)
            await perform_over_socketio(sio, 0)
            assert (await sio.caption("partial"))["gloss"]
            await sio.sio.emit("vocabulary", ended)
            await sio.caption("vocabulary")
            await perform_over_socketio(sio, 1)
            await sio.sio.emit("flush")
            await sio.caption("final")
            await perform_over_socketio(sio, 2)
            await sio.sio.emit("stop")
            await sio.caption("done")
            finals = sio.captions("final")
    assert [final["vocabulary"] for final in finals] == ["core", "custom"]
    assert {gloss["gloss"] for gloss in finals[0]["gloss"]} <= set(VOCABULARIES["core"])
    assert {gloss["gloss"] for gloss in finals[1]["gloss"]} <= {"YOU", "NAME"}


async def perform_over_socketio(client: SocketIOClient, turn: int) -> None:
    for start in range(0, 60, 10):
        header = BINARY_HEADER.pack(1, 3, 0, 0, (turn * 60 + start) * 40_000)
        points = performance(60, turn)[start : start + 10].astype("<f2")
        await client.sio.emit("message", header + points.tobytes())


async def test_a_recogniser_without_vocabularies_has_its_own_labels(tiny_settings: Settings) -> None:
    """At each door that can name one."""
    async with running(tiny_settings) as plain, client_of(plain) as client, served(plain) as address:
        known = (await client.get("/api/vocabularies")).json()
        assert (known["default"], [one["name"] for one in known["vocabularies"]]) == ("all", ["all"])
        assert len((await client.get("/labels")).json()) == len(GLOSSES)
        for asked, reads in ((None, "all"), ("all", "all"), (["you", "NAME"], "custom")):
            answer = await client.post(LANDMARKS, json=landmarks_json(vocabulary=asked))
            assert answer.json()["vocabulary"] == reads
        refused = await client.post(LANDMARKS, json=landmarks_json(vocabulary="everyday"))
        assert_problem(refused, 422, "unknown_vocabulary")
        assert "There is no vocabulary 'everyday', but all" in refused.json()["detail"]
        async with connected(f"ws://{address}/ws/stream") as live:
            await live.send(type="start", vocabulary="everyday")
            assert await live.closed() == 4400
        async with socketio_connected(f"http://{address}") as sio:
            assert (await sio.caption("ready"))["vocabulary"] == {"name": "all", "glosses": len(GLOSSES)}
        with pytest.raises(socketio.exceptions.ConnectionError):
            await asyncio.wait_for(socketio.AsyncClient().connect(f"http://{address}?vocabulary=everyday"), 20)

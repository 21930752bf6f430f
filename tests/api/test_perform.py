"""Text to signs over HTTP: an account of every word, landmarks, a video, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import AsyncIterator, Iterator

import av
import httpx
import numpy as np
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.pipeline.keypoints import Keypoints
from app.services.performing.service import MAX_SIGNS, MAX_TEXT
from tests.support.problems import assert_problem
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")
PATH = "/api/signs/perform"


@pytest_asyncio.fixture(loop_scope="session")
async def address(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as host:
        yield f"http://{host}"


async def test_a_text_becomes_signs_with_times_and_landmarks(client: httpx.AsyncClient) -> None:
    text = "My mother wants a zebra."
    answer = await client.post(PATH, json={"text": text})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    assert content["glosses"] == ["MY", "MOTHER", "WANT"]
    assert content["without_sign"] == ["zebra"]
    assert "not an interpreter" in content["notice"]
    assert [text[w["start"] : w["end"]] for w in content["words"]] == [w["text"] for w in content["words"]]
    assert {w["text"]: w["use"] for w in content["words"]} == {
        "My": "sign", "mother": "sign", "wants": "sign", "a": "grammar", "zebra": "text",
    }  # fmt: skip
    times = [(item["start_s"], item["end_s"]) for item in content["items"]]
    assert all(start < end for start, end in times)
    assert times == sorted(times)
    assert times[-1][1] <= content["duration_s"]
    shape = content["landmarks"]["shape"]
    points = np.frombuffer(base64.b64decode(content["landmarks"]["data"]), "<f2").reshape(shape)
    assert shape == [round(content["duration_s"] * content["fps"]), 75, 3]
    assert np.isfinite(points.astype(float)).all()


async def test_a_video_has_the_frames_of_the_performance(client: httpx.AsyncClient) -> None:
    landmarks = (await client.post(PATH, json={"glosses": ["no"]})).json()
    assert landmarks["english"] is None
    answer = await client.post(PATH, json={"glosses": ["NO"], "format": "mp4"})
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["glossline-glosses"] == "NO"
    with av.open(io.BytesIO(answer.content)) as video:
        frames = sum(1 for _ in video.decode(video=0))
    assert frames == landmarks["landmarks"]["shape"][0]


async def test_spanish_needs_a_translator(client: httpx.AsyncClient) -> None:
    assert_problem(await client.post(PATH, json={"text": "Mi madre quiere agua."}), 503, "speech_unavailable")
    assert (await client.post(PATH, json={"text": "No."})).json()["glosses"] == ["NO"]


async def test_drawing_ends_when_the_client_leaves(
    application: FastAPI, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, closed, drawn, wanted = application.state.services.performing, asyncio.Event(), [], []
    loop = asyncio.get_running_loop()

    def pieces(clip: Keypoints) -> Iterator[bytes]:
        wanted.append(len(clip))
        try:
            for number in range(len(clip)):
                drawn.append(number)
                time.sleep(0.02)
                yield bytes(1 << 16)
        finally:
            loop.call_soon_threadsafe(closed.set)

    monkeypatch.setattr("app.services.performing.service.video_pieces", pieces)
    body = {"glosses": ["HELLO"] * 12, "format": "mp4"}
    async with httpx.AsyncClient(base_url=address) as far, far.stream("POST", PATH, json=body) as answer:
        assert answer.status_code == 200
        await anext(answer.aiter_raw())
    async with asyncio.timeout(60):
        await closed.wait()
        while service.drawing:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert 0 < len(drawn) < wanted[0]


async def test_a_video_has_a_longest_length(client: httpx.AsyncClient) -> None:
    body = {"glosses": ["HELLO"] * MAX_SIGNS, "format": "mp4"}
    assert "would last" in assert_problem(await client.post(PATH, json=body), 413, "text_too_long")["detail"]


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"text": "x" * (MAX_TEXT + 1)}, 413, "text_too_long", "the limit is"),
        ({"text": "\x00\x1b[ \u202e !?"}, 422, "invalid_request", "nothing in it"),
        ({"text": "the of a"}, 422, "invalid_request", "nothing to show"),
        ({"text": "help " * (MAX_SIGNS + 1)}, 413, "text_too_long", "at most"),
        ({"glosses": ["MOTER"]}, 404, "unknown_sign", "nearest: MOTHER"),
        ({"glosses": []}, 422, "invalid_request", "glosses"),
        ({}, 422, "invalid_request", "either text or glosses"),
        ({"text": "hello", "glosses": ["NO"]}, 422, "invalid_request", "either text or glosses"),
        ({"text": "hello", "language": "de"}, 422, "invalid_request", "language"),
    ],
)
async def test_what_cannot_be_signed_is_refused(
    client: httpx.AsyncClient, body: dict[str, object], status: int, code: str, said: str
) -> None:
    assert said in assert_problem(await client.post(PATH, json=body), status, code)["detail"]

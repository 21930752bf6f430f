from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from app.pipeline.module1_preprocessing.images import pictures_from
from tests.support.media import jpeg_base64
from tests.support.problems import assert_problem

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROUTE = "/api/inference/frames"
FRAME = jpeg_base64()


@pytest.mark.parametrize(
    "clock",
    [{}, {"fps": 12.5}, {"timestamps_ms": [1000, 1040, 1095.5]}],
    ids=["default rate", "fps", "timestamps"],
)
async def test_frames_get_the_same_answer_as_a_video(client: httpx.AsyncClient, clock: dict[str, Any]) -> None:
    answer = await client.post(ROUTE, json={"frames": [FRAME] * 3, **clock})
    assert answer.status_code == 200, answer.text
    assert answer.json()["frame_count"] == 3
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["no_person"]


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        ({"frames": []}, 422, "invalid_request", "frames"),
        ({}, 422, "invalid_request", "frames"),
        ([], 422, "invalid_request", "body"),
        ({"frames": [FRAME], "fps": 0}, 422, "invalid_request", "fps"),
        ({"frames": [FRAME], "fps": 1e6}, 422, "invalid_request", "fps"),
        ({"frames": [FRAME], "fps": 25, "timestamps_ms": [0]}, 422, "invalid_request", "not both"),
        ({"frames": [FRAME, FRAME], "timestamps_ms": [0]}, 422, "invalid_request", "2 frames but 1"),
        ({"frames": [FRAME, FRAME], "timestamps_ms": [5, 5]}, 422, "invalid_request", "increase"),
        ({"frames": [FRAME], "more": 1}, 422, "invalid_request", "more"),
        ({"frames": [7]}, 422, "invalid_request", "frames.0"),
        ({"frames": ["%%%"]}, 422, "invalid_frames", "frames[0]"),
        ({"frames": [FRAME, "AAAA"]}, 422, "invalid_frames", "frames[1]"),
        ({"frames": [FRAME, jpeg_base64(64, 96)]}, 422, "invalid_frames", "same size"),
        ({"frames": [jpeg_base64(8, 8)]}, 422, "bad_dimensions", "8x8"),
        ({"frames": [jpeg_base64(8000, 8000)]}, 422, "bad_dimensions", "8000x8000"),
        ({"frames": [FRAME, FRAME], "timestamps_ms": [0, 3_600_000]}, 413, "video_too_long", "3600"),
    ],
)
async def test_bad_frames_are_refused_by_name(
    client: httpx.AsyncClient, body: Any, status: int, code: str, said: str
) -> None:
    problem = assert_problem(await client.post(ROUTE, json=body), status, code)
    assert said in problem["detail"]
    # What was sent is not sent back: it may be large, or somebody's picture.
    assert FRAME[:40] not in problem["detail"]


async def test_a_body_that_is_no_json(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    assert_problem(await client.post(ROUTE, content=b'{"frames": [', headers=headers), 400, "malformed_request")
    assert_problem(await client.post(ROUTE, content=b"\xff\xfe", headers=headers), 400, "malformed_request")
    assert_problem(await client.post(ROUTE, content=b""), 415, "unsupported_media_type")
    assert_problem(await client.post(ROUTE, content=bytes(9 << 20), headers=headers), 413, "upload_too_large")


async def test_json_is_held_in_memory_and_has_a_limit_of_its_own(client: httpx.AsyncClient) -> None:
    with patch("app.api.inference.MAX_FRAMES_JSON", 100):
        problem = assert_problem(await client.post(ROUTE, json={"frames": [FRAME]}), 413, "upload_too_large")
    assert "/api/inference/predict" in problem["detail"]


@pytest.mark.parametrize("element", [b'"",', b'"a",', b"[],", b"1,", b"{},"])
async def test_more_elements_than_a_clip_can_have_are_not_parsed(client: httpx.AsyncClient, element: bytes) -> None:
    body = b'{"frames":[' + element * (6 << 20 >> 2) + b'""]}'
    with patch("app.api.inference.FramesRequest.model_validate_json", side_effect=AssertionError("parsed")):
        answer = await client.post(ROUTE, content=body, headers={"content-type": "application/json"})
    assert "6000 frames" in assert_problem(answer, 422, "invalid_request")["detail"]


async def test_bodies_held_in_memory_are_bounded_together(client: httpx.AsyncClient) -> None:
    body = {"frames": [FRAME] * 3}
    with patch("app.api.uploads.MAX_IN_MEMORY", 2 * len(FRAME)):
        problem = assert_problem(await client.post(ROUTE, json=body), 503, "busy")
        assert "JSON" in problem["detail"]
    assert (await client.post(ROUTE, json=body)).status_code == 200  # what it held was given back


async def test_frames_are_parsed_where_the_event_loop_is_not(client: httpx.AsyncClient) -> None:
    threads: list[threading.Thread] = []

    def watched(frames: list[str]) -> object:
        threads.append(threading.current_thread())
        return pictures_from(frames)

    with patch("app.api.inference.pictures_from", watched):
        assert (await client.post(ROUTE, json={"frames": [FRAME] * 3})).status_code == 200
    assert threads
    assert threading.current_thread() not in threads

from __future__ import annotations

import threading
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import pytest

from app.core.settings import Settings
from app.pipeline.keypoints import Keypoints, joined_blocks
from app.pipeline.module1_preprocessing.landmark_files import keypoints_from_json
from app.pipeline.recogniser import Recogniser
from tests.support.media import npz, signer
from tests.support.problems import assert_problem, uploads_left

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROUTE = "/api/inference/landmarks"


def blocks(frames: int = 40) -> dict[str, Any]:
    return {name: block.tolist() for name, block in signer(frames).items()}


async def test_a_file_and_json_get_the_recognisers_own_answer(
    client: httpx.AsyncClient, tiny_settings: Settings
) -> None:
    clip = Keypoints.at_rate(joined_blocks(**signer()), 25)
    expected = Recogniser.load(tiny_settings.checkpoint_path).recognise(clip)
    as_file = await client.post(ROUTE, files={"file": ("clip.npz", npz())})
    as_json = await client.post(ROUTE, json={**blocks(), "fps": 25})
    for answer in (as_file, as_json):
        assert answer.status_code == 200, answer.text
        assert answer.json()["gloss"] == expected.gloss
        assert answer.json()["sentence"] == expected.sentence
        assert answer.json()["attention"] == {"rgb": 0.0, "pose": 1.0}
        assert answer.json()["warnings"] == []
    assert uploads_left() == []


async def test_points_are_read_as_well(client: httpx.AsyncClient) -> None:
    points = joined_blocks(**signer(20)).tolist()
    answer = await client.post(ROUTE, json={"points": points, "fps": 12.5, "width": 640, "height": 480})
    assert answer.status_code == 200, answer.text
    assert answer.json()["duration_s"] == pytest.approx(1.6, abs=0.1)


async def test_nobody_there(client: httpx.AsyncClient) -> None:
    answer = await client.post(ROUTE, json={"points": np.zeros((5, 75, 3)).tolist()})
    assert answer.status_code == 200, answer.text
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["no_person"]


@pytest.mark.parametrize(
    ("name", "data", "status", "code"),
    [
        pytest.param("a.npz", b"", 400, "empty_file", id="empty"),
        pytest.param("a.npz", npz()[:-100], 415, "not_landmarks", id="cut off"),
        pytest.param("a.npz", b"%PDF-1.7 " + bytes(500), 415, "not_landmarks", id="pdf"),
        pytest.param("a.pose", b"%PDF-1.7 " + bytes(500), 415, "not_landmarks", id="pdf as pose"),
        pytest.param("a.json", b"{", 415, "not_landmarks", id="no json"),
        pytest.param("a.exe", npz(), 415, "not_landmarks", id="another ending"),
        pytest.param("../../etc/passwd", npz(), 415, "not_landmarks", id="a path"),
        pytest.param("a.npz", npz(pose=np.zeros((40, 54, 3), np.float32)), 422, "invalid_landmarks", id="count"),
        pytest.param("a.npz", npz(left=None), 422, "invalid_landmarks", id="no left hand"),
        pytest.param("a.npz", npz(left=np.full((40, 21, 2), np.nan)), 422, "invalid_landmarks", id="nan"),
        pytest.param("a.npz", npz(fps=0), 422, "invalid_landmarks", id="0 fps"),
        pytest.param("a.npz", npz(fps=1e9), 422, "invalid_landmarks", id="1e9 fps"),
        pytest.param("a.npz", npz(fps=float("nan")), 422, "invalid_landmarks", id="nan fps"),
        pytest.param("a.npz", npz(pose=np.array([{}])), 415, "not_landmarks", id="pickled objects"),
        pytest.param("a.npz", npz(frames=40, fps=1), 413, "video_too_long", id="40 seconds"),
    ],
)
async def test_bad_files_are_refused_by_name(
    client: httpx.AsyncClient, name: str, data: bytes, status: int, code: str
) -> None:
    assert_problem(await client.post(ROUTE, files={"file": (name, data)}), status, code)
    assert uploads_left() == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ([], 422, "invalid_landmarks"),
        ({}, 422, "invalid_landmarks"),
        ({"points": [[[0.1, 0.2]]]}, 422, "invalid_landmarks"),
        ({"points": [[0.1], [0.2, 0.3]]}, 422, "invalid_landmarks"),
        ({"points": "many"}, 422, "invalid_landmarks"),
        ({"points": []}, 422, "invalid_landmarks"),
        ({**blocks(3), "fps": 0.5}, 422, "invalid_landmarks"),
        ({**blocks(3), "fps": "fast"}, 422, "invalid_landmarks"),
        ({**blocks(3), "fps": 25, "width": 640}, 422, "invalid_landmarks"),
    ],
)
async def test_bad_json_is_refused_by_name(client: httpx.AsyncClient, body: Any, status: int, code: str) -> None:
    assert_problem(await client.post(ROUTE, json=body), status, code)


async def test_numbers_json_cannot_hold(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    body = f'{{"points": [[{", ".join(["[NaN, 0.5, 1]"] * 75)}]], "fps": 25}}'.encode()
    assert_problem(await client.post(ROUTE, content=body, headers=headers), 422, "invalid_landmarks")
    assert_problem(
        await client.post(ROUTE, content=b'{"x": ' + b"[" * 100_000, headers=headers), 400, "malformed_request"
    )
    digits = b'{"fps": ' + b"9" * 5000 + b"}"
    assert_problem(await client.post(ROUTE, content=digits, headers=headers), 422, "invalid_landmarks")
    assert_problem(await client.post(ROUTE, files={"file": ("a.json", digits)}), 422, "invalid_landmarks")
    assert_problem(await client.post(ROUTE, content=b"\xff", headers=headers), 400, "malformed_request")


async def test_json_has_a_limit_of_its_own(client: httpx.AsyncClient) -> None:
    with patch("app.api.inference.MAX_LANDMARKS_JSON", 100):
        problem = assert_problem(await client.post(ROUTE, json=blocks(3)), 413, "upload_too_large")
    assert ".npz" in problem["detail"]


async def test_json_is_parsed_where_the_event_loop_is_not(client: httpx.AsyncClient) -> None:
    threads: list[threading.Thread] = []

    def watched(text: bytes) -> Keypoints:
        threads.append(threading.current_thread())
        return keypoints_from_json(text)

    with patch("app.api.inference.keypoints_from_json", watched):
        assert (await client.post(ROUTE, json=blocks(3))).status_code == 200
    assert threads
    assert threading.current_thread() not in threads

"""Pictures that would end the process or hold it up, at every door: a named refusal, and the service goes on."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import pytest_asyncio
import socketio
import websockets
from fastapi import FastAPI

from app.pipeline.module1_preprocessing.image_limits import InvalidImage
from app.pipeline.module1_preprocessing.landmarks.engine import find_landmarks
from app.pipeline.module1_preprocessing.landmarks.mediapipe import MediaPipeEngine
from app.pipeline.module1_preprocessing.video import Frame
from app.services.recognition import clips
from tests.support.hostile import BAD_SIZES, PICTURES, latin1_title, many_scans, many_slices, motion_jpeg, wide_gif
from tests.support.media import jpeg, video
from tests.support.problems import assert_problem
from tests.support.serving import served

pytestmark = pytest.mark.asyncio(loop_scope="session")

pictures = pytest.mark.parametrize(("picture", "code"), PICTURES.values(), ids=PICTURES)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(application: FastAPI) -> AsyncIterator[str]:
    async with served(application) as host:
        yield host


async def predict(client: httpx.AsyncClient, data: bytes) -> httpx.Response:
    return await client.post("/api/inference/predict", files={"file": ("clip.mp4", data)})


@pytest.mark.parametrize(("width", "height"), BAD_SIZES)
async def test_predict_refuses_long_sides(client: httpx.AsyncClient, width: int, height: int) -> None:
    assert_problem(await predict(client, wide_gif(width, height)), 422, "bad_dimensions")


async def test_predict_refuses_thousands_of_slices(client: httpx.AsyncClient, tmp_path: Path) -> None:
    data = many_slices(tmp_path / "clip.mp4", "libx264", 5000).read_bytes()
    assert_problem(await predict(client, data), 422, "too_expensive")


@pictures
async def test_frames_refuse(client: httpx.AsyncClient, picture: bytes, code: str) -> None:
    body = {"frames": [base64.b64encode(picture).decode()] * 2}
    assert_problem(await client.post("/api/inference/frames", json=body), 422, code)


@pictures
async def test_websocket_refuses_and_goes_on(address: str, picture: bytes, code: str) -> None:
    async with websockets.connect(f"ws://{address}/api/ws/stream") as socket, asyncio.timeout(30):
        await socket.send(struct.pack("<BBHIQ", 1, 1, 0, 0, 0) + picture)
        said = await _until(socket, "error")
        assert (said["code"], said["fatal"]) == ("invalid_frame", False)
        assert "broke off" not in said["message"]  # refused before the landmark process saw it
        await socket.send(struct.pack("<BBHIQ", 1, 1, 0, 1, 40_000) + jpeg(160, 120))
        await socket.send(json.dumps({"type": "stop"}))
        assert (await _until(socket, "done"))["usage"]["used"] == 1


async def _until(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(await socket.recv())
        if event["type"] == kind:
            return event


@pictures
async def test_socketio_refuses_and_goes_on(address: str, picture: bytes, code: str) -> None:
    async with asyncio.timeout(30), socketio.AsyncSimpleClient() as client:
        await client.connect(f"http://{address}", transports=["websocket"])
        await client.emit("frame", {"image": base64.b64encode(picture).decode()})
        while (received := await client.receive())[1].get("type") != "error":
            pass
        assert received[1]["code"] == "invalid_frame"
        assert "broke off" not in received[1]["message"]
        await client.emit("frame", {"image": base64.b64encode(jpeg(160, 120)).decode()})
        while (await client.receive())[0] != "prediction":
            pass


async def test_motion_jpeg_of_many_scans(client: httpx.AsyncClient, tmp_path: Path) -> None:
    for suffix in ("avi", "mov", "mkv"):
        path = motion_jpeg(tmp_path / f"bomb.{suffix}", [many_scans(5000)], 4096, 2304)
        assert_problem(await predict(client, path.read_bytes()), 422, "too_expensive")


@pytest.mark.parametrize(("suffix", "codec"), [("avi", "mpeg4"), ("mp4", "libx264"), ("mkv", "libx264")])
async def test_a_title_that_is_not_utf8(client: httpx.AsyncClient, tmp_path: Path, suffix: str, codec: str) -> None:
    answer = await predict(client, latin1_title(tmp_path / f"clip.{suffix}", codec).read_bytes())
    assert answer.status_code == 200, answer.text
    assert answer.json()["frame_count"] == 5


async def test_a_clip_that_takes_too_long(
    client: httpx.AsyncClient, application: FastAPI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = video(tmp_path / "clip.mp4", frames=10)
    service = application.state.services.clips
    monkeypatch.setattr(service, "_settings", service._settings.model_copy(update={"clip_timeout_s": 1e-9}))
    monkeypatch.setattr(clips, "SECONDS_PER_SECOND", 0)
    answer = await predict(client, path.read_bytes())
    assert_problem(answer, 503, "clip_timeout")
    assert answer.headers["retry-after"] == "30"


@pytest.mark.parametrize("shape", [(100, 40000), (40000, 100), (8, 8), (0, 0), (100, 8200)])
async def test_the_engine_itself_refuses_what_would_end_the_process(shape: tuple[int, int]) -> None:
    with MediaPipeEngine(1) as engine, closing(engine.open()) as track:
        for refused in (np.zeros((*shape, 3), np.uint8), np.zeros((64, 64), np.uint8), np.zeros((64, 64, 3), np.int8)):
            with pytest.raises(InvalidImage):
                track.send(refused)
        assert find_landmarks([Frame(np.zeros((64, 64, 3), np.uint8), 0.0)], track).points.shape == (1, 75, 3)


def write_gif(folder: Path) -> Path:
    (folder / "clip.gif").write_bytes(wide_gif(40000, 100))
    return folder / "clip.gif"


def write_pictures(folder: Path) -> Path:
    (folder / "clip").mkdir()
    (folder / "clip" / "1.jpg").write_bytes(many_scans(500))
    return folder / "clip"


@pytest.mark.parametrize(
    ("make", "said"), [(write_gif, "bad_dimensions"), (write_pictures, "too_expensive")], ids=["gif", "folder"]
)
async def test_extraction_of_a_corpus_refuses(tmp_path: Path, make: Callable[[Path], Path], said: str) -> None:
    (tmp_path / "videos").mkdir()
    clip = make(tmp_path / "videos")
    (tmp_path / "clips.csv").write_text(
        f"file,glosses,signer,split,fps\n{clip.relative_to(tmp_path)},HELLO,ann,train,25\n"
    )
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", "extract", str(tmp_path), "--workers", "1", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert said in ended.stderr


async def test_the_command_line_refuses(tmp_path: Path, tiny_settings: Any) -> None:
    ended = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", "caption", str(write_gif(tmp_path))],
        env={"CHECKPOINT": "tiny", "CHECKPOINT_DIR": str(tiny_settings.checkpoint_dir), "DEVICE": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "40000x100" in ended.stderr
    assert "Traceback" not in ended.stderr

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.support.media import claim_duration, jpeg, sound, video
from tests.support.problems import assert_problem, uploads_left

pytestmark = pytest.mark.asyncio(loop_scope="session")
ROUTE = "/api/inference/predict"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def cut(path: Path, keep: float) -> Path:
    return write(path, path.read_bytes()[: int(path.stat().st_size * keep)])


async def test_a_video_gets_the_documented_answer(client: httpx.AsyncClient, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", frames=10)
    answer = await client.post(ROUTE, files={"file": ("clip.mp4", clip.read_bytes(), "video/mp4")})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert list(body) == [
        "gloss", "sentence", "by_rules", "confidence", "fps", "frame_count", "duration_s", "segments", "text",
        "attention", "warnings", "processing_time_s", "model", "vocabulary",
    ]  # fmt: skip
    assert body["text"] == {"en": body["sentence"], "es": None}
    assert set(body["attention"]) == {"rgb", "pose"}
    assert body["frame_count"] == 10
    assert body["model"] == "tiny"
    assert [warning["code"] for warning in body["warnings"]] == ["no_person"]
    assert uploads_left() == []


@pytest.mark.parametrize(
    ("make", "status", "code"),
    [
        pytest.param(lambda d: write(d / "empty.mp4", b""), 400, "empty_file", id="empty"),
        pytest.param(lambda d: cut(video(d / "cut.mp4", 60), 0.7), 400, "truncated_video", id="truncated"),
        pytest.param(
            lambda d: cut(video(d / "front.mp4", 60, index_first=True), 0.7),
            400,
            "truncated_video",
            id="truncated after its index",
        ),
        pytest.param(
            lambda d: write(d / "paper.mp4", b"%PDF-1.7\n" + b"1 0 obj\n" * 500), 415, "not_a_video", id="pdf"
        ),
        pytest.param(lambda d: write(d / "photo.mp4", jpeg()), 415, "not_a_video", id="jpeg"),
        pytest.param(lambda d: write(d / "noise.mp4", bytes(range(256)) * 40), 415, "not_a_video", id="noise"),
        pytest.param(lambda d: write(d / "list.m3u8", b"#EXTM3U\nfile:///etc/passwd\n"), 415, "not_a_video", id="list"),
        pytest.param(lambda d: sound(d / "sound.mp4"), 422, "no_video_stream", id="audio only"),
        pytest.param(
            lambda d: video(d / "dot.avi", 3, 1, 1, codec="ffv1", pixels="bgr0"), 422, "bad_dimensions", id="1x1"
        ),
        pytest.param(
            lambda d: video(d / "wall.mp4", 1, 8000, 8000, codec="mjpeg", pixels="yuvj420p"),
            422,
            "bad_dimensions",
            id="8000x8000",
        ),
        pytest.param(lambda d: claim_duration(video(d / "ages.mp4"), 36_000), 413, "video_too_long", id="10 hours"),
        pytest.param(lambda d: video(d / "long.mp4", 550), 413, "video_too_long", id="22 seconds"),
        pytest.param(lambda d: video(d / "fast.mp4", 12, fps=1000), 422, "bad_rate", id="1000 fps"),
        pytest.param(lambda d: write(d / "big.mp4", bytes(9 << 20)), 413, "upload_too_large", id="9 MiB"),
    ],
)
async def test_bad_videos_are_refused_by_name(
    client: httpx.AsyncClient, tmp_path: Path, make: Callable[[Path], Path], status: int, code: str
) -> None:
    path = make(tmp_path)
    answer = await client.post(ROUTE, files={"file": ("clip.mp4", path.read_bytes(), "video/mp4")})
    assert_problem(answer, status, code)
    assert uploads_left() == []
    assert (await client.get("/api/health/ready")).status_code == 200


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda d: video(d / "one.mp4", frames=1), id="one frame"),
        pytest.param(lambda d: video(d / "small.webm", codec="libvpx"), id="webm"),
        pytest.param(lambda d: video(d / "old.avi"), id="avi"),
    ],
)
async def test_odd_but_good_videos_are_read(
    client: httpx.AsyncClient, tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    answer = await client.post(ROUTE, files={"file": ("any name at all", make(tmp_path).read_bytes())})
    assert answer.status_code == 200, answer.text


def form(*parts: tuple[str, bytes], boundary: str = "b", end: bool = True) -> bytes:
    lines = [f"--{boundary}\r\nContent-Disposition: form-data; {how}\r\n\r\n".encode() + data for how, data in parts]
    return b"\r\n".join(lines) + (f"\r\n--{boundary}--\r\n".encode() if end else b"")


FORM = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        pytest.param({}, b"", 415, "unsupported_media_type", id="nothing"),
        pytest.param({"content-type": "application/json"}, b"{}", 415, "unsupported_media_type", id="json"),
        pytest.param({"content-type": "video/mp4"}, b"xx", 415, "unsupported_media_type", id="bare video"),
        pytest.param({"content-type": "multipart/form-data"}, b"xx", 400, "malformed_request", id="no boundary"),
        pytest.param(FORM, b"", 400, "malformed_request", id="no body"),
        pytest.param(FORM, b"garbage", 400, "malformed_request", id="garbage"),
        pytest.param(FORM, form(('name="other"', b"x")), 400, "malformed_request", id="another field"),
        pytest.param(
            FORM, form(('name="file"; filename="a"', b"x"), end=False), 400, "malformed_request", id="cut off"
        ),
        pytest.param(FORM, form(*[('name="file"; filename="a"', b"x")] * 2), 400, "malformed_request", id="two files"),
        pytest.param(FORM, form(*[('name="x"', b"x")] * 40), 400, "malformed_request", id="many parts"),
        pytest.param(FORM, form(('name="file"; filename="a"', b"")), 400, "empty_file", id="empty file"),
        pytest.param(
            FORM, b"--b\r\n" + b"X-A: y\r\n" * 5000 + b"\r\n\r\n--b--", 400, "malformed_request", id="many headers"
        ),
    ],
)
async def test_bad_forms_are_refused_by_name(
    client: httpx.AsyncClient, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    assert_problem(await client.post(ROUTE, content=body, headers=headers), status, code)
    assert uploads_left() == []


async def test_a_field_without_a_file_name_and_other_fields_are_fine(client: httpx.AsyncClient, tmp_path: Path) -> None:
    data = video(tmp_path / "clip.mp4", 3).read_bytes()
    body = form(('name="note"', b"hello"), ('name="file"', data), ('name="more"', b"x" * 5000))
    answer = await client.post(ROUTE, content=body, headers=FORM)
    assert answer.status_code == 200, answer.text


async def test_a_body_without_a_length_is_refused_while_it_comes_in(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        for _ in range(4096):
            sent += 1 << 20
            yield bytes(1 << 20)

    assert_problem(await client.post(ROUTE, content=endless(), headers=FORM), 413, "upload_too_large")
    assert sent <= 10 << 20
    assert uploads_left() == []


async def test_a_length_that_is_too_large_is_refused_before_anything_is_read(client: httpx.AsyncClient) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {**FORM, "content-length": str(1 << 30)}
    answer = await client.post(ROUTE, content=unread(), headers=headers)
    assert_problem(answer, 413, "upload_too_large")
    assert answer.headers["connection"] == "close"


async def test_two_requests_at_once(client: httpx.AsyncClient, tmp_path: Path) -> None:
    data = video(tmp_path / "clip.mp4", 8).read_bytes()
    answers = await asyncio.gather(*(client.post(ROUTE, files={"file": data}) for _ in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


async def test_one_request_too_many_is_told_when_to_come_back(client: httpx.AsyncClient, tmp_path: Path) -> None:
    data = video(tmp_path / "clip.mp4", 8).read_bytes()
    answers = await asyncio.gather(*(client.post(ROUTE, files={"file": data}) for _ in range(12)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 8
    assert statuses.count(503) == 4
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert_problem(refused, 503, "busy")
    assert int(refused.headers["retry-after"]) > 0
    assert uploads_left() == []


@pytest.mark.parametrize("route", [ROUTE, "/api/inference/landmarks"])
async def test_a_full_disk_has_a_name(
    client: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    def on_a_full_disk(prefix: str, suffix: str) -> tuple[int, str]:
        path = tmp_path / f"{prefix}full{suffix}"
        path.symlink_to("/dev/full")
        return os.open(path, os.O_RDWR), str(path)

    monkeypatch.setattr("app.core.temp_files.tempfile.mkstemp", on_a_full_disk)
    answer = await client.post(route, files={"file": ("clip.npz", bytes(100_000))})
    assert_problem(answer, 507, "insufficient_storage")
    assert os.listdir(tmp_path) == []

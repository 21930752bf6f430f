"""Whole clips: the same answers as over HTTP, and faults as statuses with their stable codes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from google.protobuf.json_format import MessageToDict

from app.rpc import admission
from app.rpc.captioner import MAX_CLIPS
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.services.recognition.service import ClipService
from tests.support import media
from tests.support.recognisers import performance

pytestmark = pytest.mark.asyncio(loop_scope="session")


def landmarks(frames: int = 40, kind: str = "float32", seed: int = 0, **more: float) -> pb.Clip:
    data = performance(frames, seed).astype({"float32": "<f4", "float16": "<f2"}[kind]).tobytes()
    return pb.Clip(landmarks=pb.ClipLandmarks(points=pb.PackedPoints(**{kind: data}), **more))


def code_of(error: grpc.aio.AioRpcError) -> str | None:
    return dict(error.trailing_metadata()).get("glossline-code")


async def over_http(application: FastAPI, points: np.ndarray, **more: Any) -> dict[str, Any]:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://glossline", timeout=60) as client:
        body = json.dumps({"points": points.tolist(), **more})
        headers = {"content-type": "application/json"}
        answer = await client.post("/api/inference/landmarks", content=body, headers=headers)
        return answer.raise_for_status().json()


async def test_landmarks_give_the_answer_that_http_gives(stub: CaptionerStub, application: FastAPI) -> None:
    answer = await stub.Recognise(pb.RecogniseRequest(clip=landmarks(90, fps=30.0, aspect=2.0)))
    expected = await over_http(application, performance(90), fps=30, width=200, height=100)
    got = MessageToDict(answer, preserving_proto_field_name=True, including_default_value_fields=True)
    assert expected.pop("by_rules") is None  # left out of the message
    assert set(got) == set(expected)
    for name in ("gloss", "sentence", "frame_count", "model", "warnings"):
        assert got[name] == expected[name], name
    for name in ("confidence", "fps", "duration_s", "attention"):
        assert got[name] == pytest.approx(expected[name], abs=1e-3), name
    assert got["text"] == {"en": expected["sentence"]}
    assert [s["gloss"] for s in got["segments"]] == [s["gloss"] for s in expected["segments"]]
    for mine, theirs in zip(got["segments"], expected["segments"], strict=True):
        assert {k: v for k, v in mine.items() if k != "gloss"} == pytest.approx(
            {k: v for k, v in theirs.items() if k != "gloss"}, abs=1e-3
        )


async def test_half_precision_landmarks_are_read_too(stub: CaptionerStub) -> None:
    answer = await stub.Recognise(pb.RecogniseRequest(clip=landmarks(50, "float16")))
    assert (answer.frame_count, answer.fps) == (50, 25.0)
    assert answer.processing_time_s > 0


async def test_a_video_is_read_and_its_file_is_gone_afterwards(
    stub: CaptionerStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    data = media.video(tmp_path / "clip.mp4", frames=12).read_bytes()
    answer = await stub.Recognise(pb.RecogniseRequest(clip=pb.Clip(video=data)))
    assert answer.frame_count == 12
    assert [warning.code for warning in answer.warnings] == ["no_person"]
    assert list(spool.iterdir()) == []


async def test_pictures_are_read(stub: CaptionerStub) -> None:
    clip = pb.Clip(frames=pb.Frames(jpeg=[media.jpeg()] * 5, fps=25))
    answer = await stub.Recognise(pb.RecogniseRequest(clip=clip))
    assert answer.frame_count == 5
    assert answer.warnings[0].code == "no_person"


NAN = np.full((4, 75, 3), np.nan, "<f4").tobytes()
BAD = {
    "nothing": (pb.Clip(), "invalid_request"),
    "empty video": (pb.Clip(video=b""), "empty_file"),
    "no video": (pb.Clip(video=b"%PDF-1.4 hello"), "not_a_video"),
    "no frames": (pb.Clip(frames=pb.Frames()), "invalid_request"),
    "rate": (pb.Clip(frames=pb.Frames(jpeg=[media.jpeg()], fps=0)), "invalid_request"),
    "rate that is no number": (pb.Clip(frames=pb.Frames(jpeg=[media.jpeg()], fps=float("nan"))), "invalid_request"),
    "no JPEG": (pb.Clip(frames=pb.Frames(jpeg=[b"GIF89a"])), "invalid_frames"),
    "two sizes": (pb.Clip(frames=pb.Frames(jpeg=[media.jpeg(), media.jpeg(64, 64)])), "invalid_frames"),
    "tiny picture": (pb.Clip(frames=pb.Frames(jpeg=[media.jpeg(8, 8)])), "bad_dimensions"),
    "too many pictures": (pb.Clip(frames=pb.Frames(jpeg=[b"x"] * 6001)), "invalid_request"),
    "too long": (pb.Clip(frames=pb.Frames(jpeg=[b"x"] * 30, fps=1)), "video_too_long"),
    "no points": (pb.Clip(landmarks=pb.ClipLandmarks()), "invalid_landmarks"),
    "half a frame": (pb.Clip(landmarks={"points": {"float32": b"\0" * 451}}), "invalid_landmarks"),
    "NaN": (pb.Clip(landmarks={"points": {"float32": NAN}}), "invalid_landmarks"),
    "landmarks' rate": (landmarks(4, fps=500.0), "invalid_landmarks"),
    "landmarks' aspect": (landmarks(4, aspect=0.0), "invalid_landmarks"),
    "landmarks that last too long": (landmarks(40, fps=1.0), "video_too_long"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_clip_is_named(stub: CaptionerStub, name: str) -> None:
    clip, code = BAD[name]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Recognise(pb.RecogniseRequest(clip=clip))
    assert (refused.value.code(), code_of(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, code)
    assert len(refused.value.details() or "") > 15
    assert dict(refused.value.trailing_metadata())["x-request-id"]


async def test_a_message_that_is_too_large_is_refused(stub: CaptionerStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Recognise(pb.RecogniseRequest(clip=pb.Clip(video=b"\0" * (9 << 20))))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_full_service_says_so(
    stub: CaptionerStub, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application.state.services.clips.limit, "limit", 0)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Recognise(pb.RecogniseRequest(clip=landmarks()))
    assert (refused.value.code(), code_of(refused.value)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "busy")
    assert dict(refused.value.trailing_metadata())["retry-after"] == "2"


async def test_a_full_service_refuses_a_clip_before_it_has_come(
    channel: grpc.aio.Channel, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application.state.services.clips.limit, "limit", 0)
    call = channel.stream_unary("/glossline.v1.Captioner/Recognise")()  # the same on the wire, and nothing sent yet
    async with asyncio.timeout(10):
        assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_clip_that_does_not_come_is_given_up(
    channel: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "UPLOAD_S", 0.2)
    call = channel.stream_unary("/glossline.v1.Captioner/Recognise")()
    async with asyncio.timeout(10):
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert dict(await call.trailing_metadata())["glossline-code"] == "upload_timeout"


async def test_bytes_that_are_no_clip_are_named(channel: grpc.aio.Channel) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await channel.unary_unary("/glossline.v1.Captioner/Recognise")(b"\x0a\xff\xff")
    assert (refused.value.code(), code_of(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "malformed_request")


async def test_an_unexpected_fault_shows_no_internals(stub: CaptionerStub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(ClipService, "process_landmarks", broken)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.Recognise(pb.RecogniseRequest(clip=landmarks()))
    assert (refused.value.code(), code_of(refused.value)) == (grpc.StatusCode.INTERNAL, "internal_error")
    assert "secret" not in str(refused.value)
    batch = await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[landmarks()]))
    assert batch.results[0].problem.code == "internal_error"
    assert "secret" not in batch.results[0].problem.message


async def test_a_cancelled_call_stops_the_work(
    stub: CaptionerStub, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()
    entered = asyncio.Event()

    async def endless(*_: object) -> None:
        entered.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    monkeypatch.setattr(ClipService, "process_landmarks", endless)
    call = stub.Recognise(pb.RecogniseRequest(clip=landmarks()))
    async with asyncio.timeout(10):
        await asyncio.gather(entered.wait(), asyncio.sleep(0))
        call.cancel()
        await stopped.wait()


async def test_a_batch_shares_calls_of_the_model_and_a_bad_clip_spoils_none(
    stub: CaptionerStub, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(application.state.services.host._scheduler, "_on_batch", sizes.append)
    clips = [landmarks(40, seed=seed) for seed in range(6)]
    clips[2] = pb.Clip(video=b"%PDF-1.4 hello")
    answer = await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=clips))
    kinds = [result.WhichOneof("outcome") for result in answer.results]
    assert kinds == ["recognition", "recognition", "problem", *["recognition"] * 3]
    problem = answer.results[2].problem
    assert (problem.code, problem.status) == ("not_a_video", grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert sum(sizes) == 5
    assert max(sizes) > 1
    alone = await stub.Recognise(pb.RecogniseRequest(clip=clips[4]))
    assert list(answer.results[4].recognition.gloss) == list(alone.gloss)


@pytest.mark.parametrize("count", [0, MAX_CLIPS + 1])
async def test_a_batch_has_a_size(stub: CaptionerStub, count: int) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[pb.Clip()] * count))
    assert (refused.value.code(), code_of(refused.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")


async def test_the_largest_batch_fits_into_a_service_that_takes_fewer_requests_at_once(stub: CaptionerStub) -> None:
    answer = await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[landmarks(20)] * MAX_CLIPS))
    assert [result.WhichOneof("outcome") for result in answer.results] == ["recognition"] * MAX_CLIPS

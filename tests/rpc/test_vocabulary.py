"""Vocabularies over gRPC: of a clip, of a batch, of a stream and within it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from app.core.settings import Settings
from app.pipeline.keypoints import LEFT_HAND, RIGHT_HAND
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.rpc.server import rpc_server
from tests.conftest import VOCABULARIES
from tests.rpc.conftest import OPTIONS
from tests.rpc.test_streaming import Client
from tests.support.recognisers import performance
from tests.support.serving import running

pytestmark = pytest.mark.asyncio(loop_scope="session")
CLIP = pb.Clip(landmarks=pb.ClipLandmarks(points=pb.PackedPoints(float32=performance(60).astype("<f4").tobytes())))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stub(tiny_settings: Settings, vocabulary_checkpoints: Path) -> AsyncIterator[CaptionerStub]:
    async with (
        running(tiny_settings.model_copy(update={"checkpoint_dir": vocabulary_checkpoints})) as app,
        rpc_server(app.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel,
    ):
        yield CaptionerStub(channel)


def glosses(*names: str) -> pb.Vocabulary:
    return pb.Vocabulary(glosses=pb.Glosses(gloss=names))


async def test_a_clip_is_read_with_what_its_request_asks_for(stub: CaptionerStub) -> None:
    default = await stub.Recognise(pb.RecogniseRequest(clip=CLIP))
    assert default.vocabulary == "everyday"
    core = await stub.Recognise(pb.RecogniseRequest(clip=CLIP, vocabulary=pb.Vocabulary(name="core")))
    assert core.vocabulary == "core"
    assert set(core.gloss) <= set(VOCABULARIES["core"])
    assert core.segments
    assert all(segment.unsure for segment in core.segments)
    assert [warning.code for warning in core.warnings] == ["low_confidence"]
    batch = await stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[CLIP, CLIP], vocabulary=glosses("you", "NAME")))
    assert [result.recognition.vocabulary for result in batch.results] == ["custom", "custom"]


@pytest.mark.parametrize(
    "wrong",
    [pb.Vocabulary(name="cor"), pb.Vocabulary(name=""), glosses(), glosses("HELO"), glosses(*["HELLO"] * 10_000)],
    ids=["name", "no name", "empty", "unknown", "too many"],
)
async def test_a_wrong_vocabulary_is_one_documented_error(stub: CaptionerStub, wrong: pb.Vocabulary) -> None:
    for call in (
        stub.Recognise(pb.RecogniseRequest(clip=CLIP, vocabulary=wrong)),
        stub.RecogniseBatch(pb.RecogniseBatchRequest(clips=[CLIP], vocabulary=wrong)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert dict(refused.value.trailing_metadata())["glossline-code"] == "unknown_vocabulary"
    stream = Client(stub.StreamCaptions())
    await stream.send(start=pb.Start(vocabulary=wrong))
    assert await stream.closed() == (grpc.StatusCode.INVALID_ARGUMENT, "unknown_vocabulary")


async def test_a_stream_chooses_and_changes_its_vocabulary(stub: CaptionerStub) -> None:
    stream = Client(stub.StreamCaptions())
    await stream.send(start=pb.Start(vocabulary=pb.Vocabulary(name="core"), endpoint_ms=10_000))
    assert (await stream.until("ready"))["vocabulary"] == {"name": "core", "glosses": 2}
    await stream.perform(60)
    await stream.send(flush=pb.Flush())
    first = await stream.until("final")
    assert first["vocabulary"] == "core"
    assert all(gloss["unsure"] for gloss in first["gloss"])
    await stream.send(vocabulary=glosses("HELO"))
    error = await stream.until("error")
    assert (error["code"], error["fatal"]) == ("unknown_vocabulary", False)
    await stream.send(vocabulary=glosses("NAME", "YOU", "THANK-YOU"))
    assert (await stream.until("vocabulary"))["vocabulary"] == {"name": "custom", "glosses": 3}
    await stream.perform(60, start_us=2_400_000, seed=1)
    await stream.send(stop=pb.Stop())
    await stream.until("done")
    assert [event for event in stream.events if event["type"] == "final"][-1]["vocabulary"] == "custom"


async def test_a_change_in_the_middle_of_a_sentence_is_for_the_next_one(stub: CaptionerStub) -> None:
    stream = Client(stub.StreamCaptions())
    await stream.send(start=pb.Start(vocabulary=pb.Vocabulary(name="core"), endpoint_ms=10_000))
    await stream.perform(60)
    assert (await stream.until("partial"))["gloss"]  # the sentence has begun
    await stream.send(vocabulary=glosses("NAME", "YOU"))
    await stream.until("vocabulary")
    await stream.perform(60, start_us=2_400_000, seed=1)
    await stream.send(flush=pb.Flush())
    await stream.until("final")
    await stream.perform(60, start_us=4_800_000, seed=2)
    await stream.send(stop=pb.Stop())
    await stream.until("done")
    finals = [event for event in stream.events if event["type"] == "final"]
    assert [final["vocabulary"] for final in finals] == ["core", "custom"]
    assert {gloss["gloss"] for gloss in finals[0]["gloss"]} <= set(VOCABULARIES["core"])


@pytest.mark.parametrize("vocabulary", [pb.Vocabulary(), pb.Vocabulary(name="all"), glosses("HELLO")], ids=str)
async def test_where_no_hand_appears_nothing_is_read(stub: CaptionerStub, vocabulary: pb.Vocabulary) -> None:
    points = performance(60)
    points[:, LEFT_HAND] = points[:, RIGHT_HAND] = 0
    packed = pb.PackedPoints(float32=points.astype("<f4").tobytes())
    clip = pb.Clip(landmarks=pb.ClipLandmarks(points=packed))
    answer = await stub.Recognise(pb.RecogniseRequest(clip=clip, vocabulary=vocabulary))
    assert (list(answer.gloss), [warning.code for warning in answer.warnings]) == ([], ["no_hands"])


async def test_a_recogniser_without_vocabularies_has_its_own_labels(tiny_settings: Settings) -> None:
    async with (
        running(tiny_settings) as app,
        rpc_server(app.state.services, "127.0.0.1", 0) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel,
    ):
        plain = CaptionerStub(channel)
        assert (await plain.Recognise(pb.RecogniseRequest(clip=CLIP))).vocabulary == "all"
        with pytest.raises(grpc.aio.AioRpcError, match="There is no vocabulary 'everyday', but all"):
            await plain.Recognise(pb.RecogniseRequest(clip=CLIP, vocabulary=pb.Vocabulary(name="everyday")))

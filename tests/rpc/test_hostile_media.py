"""Pictures that would end the process or hold it up, over gRPC: a named refusal, and the service goes on."""

from __future__ import annotations

import grpc
import pytest

from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from tests.support.hostile import BAD_SIZES, PICTURES, wide_gif

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def refusal(stub: CaptionerStub, clip: pb.Clip) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Recognise(pb.RecogniseRequest(clip=clip))
    return dict(caught.value.trailing_metadata())["glossline-code"]


@pytest.mark.parametrize(("picture", "code"), PICTURES.values(), ids=PICTURES)
async def test_frames(stub: CaptionerStub, picture: bytes, code: str) -> None:
    assert await refusal(stub, pb.Clip(frames=pb.Frames(jpeg=[picture] * 2))) == code


@pytest.mark.parametrize(("width", "height"), BAD_SIZES)
async def test_videos(stub: CaptionerStub, width: int, height: int) -> None:
    assert await refusal(stub, pb.Clip(video=wide_gif(width, height))) == "bad_dimensions"

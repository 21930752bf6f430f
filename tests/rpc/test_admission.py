"""No client can lock the others out of gRPC by calls that only hold a place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import pytest
from fastapi import FastAPI
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from app.core.limits import MIN_AGE_S
from app.rpc.admission import SIDE_CALLS
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.rpc.server import REFUSALS
from tests.rpc.conftest import OPTIONS
from tests.rpc.test_recognise import landmarks

RECOGNISE = "/glossline.v1.Captioner/Recognise"
CHECK = "/grpc.health.v1.Health/Check"
Answer = TypeVar("Answer")


def mute(channel: grpc.aio.Channel, path: str) -> Any:
    """A call whose message never comes."""
    call = channel.stream_unary(path)()
    task = asyncio.ensure_future(call.wait_for_connection())
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return call


async def patient(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer to a client that tries again when the server is full, as the refusal tells it to."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as refused:
                if refused.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                await asyncio.sleep(0.5)


async def served(channel: grpc.aio.Channel) -> bool:
    answer = await patient(lambda: CaptionerStub(channel).Recognise(pb.RecogniseRequest(clip=landmarks())))
    health = await patient(lambda: health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()))
    return bool(answer.frame_count == 40 and health.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("kind", ["watchers", "checks without a message", "reflection", "clips without a message"])
async def test_calls_that_only_hold_a_place_lock_nobody_out(port: int, application: FastAPI, kind: str) -> None:
    """More of them than there are places for all calls together."""
    settings = application.state.services.settings
    count = settings.max_clients + settings.max_concurrent_requests + SIDE_CALLS + REFUSALS + 20
    target = f"127.0.0.1:{port}"
    async with (
        grpc.aio.insecure_channel(target, OPTIONS) as hostile,
        grpc.aio.insecure_channel(target, OPTIONS) as honest,
    ):
        match kind:
            case "watchers":
                health = health_pb2_grpc.HealthStub(hostile)
                calls = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(count)]
            case "checks without a message":
                calls = [mute(hostile, CHECK) for _ in range(count)]
            case "reflection":
                stub = reflection_pb2_grpc.ServerReflectionStub(hostile)
                calls = [stub.ServerReflectionInfo() for _ in range(count)]
            case _:
                calls = [mute(hostile, RECOGNISE) for _ in range(count)]
        await asyncio.sleep(MIN_AGE_S + 1)
        assert not all(call.done() for call in calls)  # some do hold their places
        assert await served(honest)
        for call in calls:
            call.cancel()
    async with grpc.aio.insecure_channel(target, OPTIONS) as honest:
        assert await served(honest)

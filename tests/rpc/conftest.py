"""A real gRPC server over a real socket with the tiny recogniser, and its client."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest_asyncio
from fastapi import FastAPI

from app.core.settings import Settings
from app.rpc.glossline.v1 import captioner_pb2_grpc
from app.rpc.server import rpc_server
from tests.support.serving import running

#: A client of its own for each channel: without this, gRPC shares connections between channels of one process.
OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def application(tiny_settings: Settings) -> AsyncIterator[FastAPI]:
    async with running(tiny_settings) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def port(application: FastAPI) -> AsyncIterator[int]:
    async with rpc_server(application.state.services, "127.0.0.1", 0) as port:
        yield port


@pytest_asyncio.fixture(loop_scope="session")
async def channel(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", OPTIONS) as channel:
        yield channel


@pytest_asyncio.fixture(loop_scope="session")
async def stub(channel: grpc.aio.Channel) -> captioner_pb2_grpc.CaptionerStub:
    return captioner_pb2_grpc.CaptionerStub(channel)

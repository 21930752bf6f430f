"""The server around the methods: health, reflection, an orderly end, and how it is switched on."""

from __future__ import annotations

import asyncio
import builtins
import socket
from typing import Any

import grpc
import pytest
from fastapi import FastAPI
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from app.core.settings import Settings, SettingsError
from app.main import create_app
from app.rpc.glossline.v1 import captioner_pb2 as pb
from app.rpc.glossline.v1.captioner_pb2_grpc import CaptionerStub
from app.rpc.server import rpc_server
from tests.rpc.test_recognise import landmarks
from tests.rpc.test_streaming import Client

pytestmark = pytest.mark.asyncio(loop_scope="session")
Status = health_pb2.HealthCheckResponse


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ask(stub: Any, service: str) -> int:
    status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status
    return status


async def test_health_follows_readiness(
    channel: grpc.aio.Channel, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    watching = stub.Watch(health_pb2.HealthCheckRequest(service="glossline.v1.Captioner"))
    async with asyncio.timeout(20):
        assert (await watching.read()).status == Status.SERVING
        for service in ("", "glossline.v1.Captioner"):
            assert await ask(stub, service) == Status.SERVING
        with monkeypatch.context() as broken:
            broken.setattr(application.state.services.host.device, "fault", "the card fell off")
            assert await ask(stub, "") == Status.NOT_SERVING
            assert (await watching.read()).status == Status.NOT_SERVING
        assert (await watching.read()).status == Status.SERVING
        with monkeypatch.context() as leaving:
            leaving.setattr(application.state.services.captions, "draining", True)
            assert await ask(stub, "glossline.v1.Captioner") == Status.NOT_SERVING
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await CaptionerStub(channel).Recognise(pb.RecogniseRequest(clip=landmarks()))
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    watching.cancel()


async def test_health_of_a_service_that_is_not_there(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(stub, "nobody")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    watching = stub.Watch(health_pb2.HealthCheckRequest(service="nobody"))
    assert (await watching.read()).status == Status.SERVICE_UNKNOWN
    watching.cancel()


async def test_reflection_lists_and_describes(channel: grpc.aio.Channel) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    call = stub.ServerReflectionInfo()
    await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
    names = [service.name for service in (await call.read()).list_services_response.service]
    assert {"glossline.v1.Captioner", "grpc.health.v1.Health"} <= set(names)
    await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol="glossline.v1.Captioner"))
    (described,) = (await call.read()).file_descriptor_response.file_descriptor_proto
    assert described == pb.DESCRIPTOR.serialized_pb
    await call.done_writing()


async def test_an_orderly_end(tiny_settings: Settings) -> None:
    """As the signal does it: the hub drains, then the lifespan ends. Streams get their finals, calls their answers."""
    app = create_app(tiny_settings)
    async with app.router.lifespan_context(app):
        services = app.state.services
        service, hub = services.clips, services.captions
        running: asyncio.Task[Any]
        async with rpc_server(services, "127.0.0.1", 0) as port:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            stub = CaptionerStub(channel)
            client = Client(stub.StreamCaptions())
            await client.send(start=pb.Start())
            await client.until("ready")
            await client.perform(120)
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watching.read()
            process = service.process_landmarks

            async def slowly(*clip: Any) -> Any:
                await asyncio.sleep(1)
                return await process(*clip)

            service.process_landmarks = slowly
            running = asyncio.ensure_future(stub.Recognise(pb.RecogniseRequest(clip=landmarks())))
            await asyncio.sleep(0.3)
            closed = asyncio.ensure_future(client.closed())
            async with asyncio.timeout(15):
                await hub.drain()
                assert await closed == (grpc.StatusCode.UNAVAILABLE, "draining")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 10  # the watcher did not hold it up
        assert (await running).frame_count == 40
        await channel.close()
    kinds = [event["type"] for event in client.events]
    assert kinds[-2:] == ["closing", "error"]
    assert "final" in kinds


async def test_it_is_off_by_default_and_on_with_a_port(
    tiny_settings: Settings, application: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.model_fields["grpc_port"].default == 0
    port = free_port()
    app = create_app(tiny_settings.model_copy(update={"grpc_port": port}))
    async with (
        app.router.lifespan_context(app),
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert await ask(health_pb2_grpc.HealthStub(channel), "") == Status.SERVING


async def test_a_port_in_use_is_named_with_what_to_do(application: FastAPI, port: int) -> None:
    with pytest.raises(SettingsError, match=rf"GRPC_PORT={port}.*Choose another"):
        async with rpc_server(application.state.services, "127.0.0.1", port):
            pass


async def test_missing_packages_are_named_with_what_to_do(
    tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = builtins.__import__

    def without_grpc(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "app.rpc.server":
            raise ModuleNotFoundError("No module named 'grpc_health'")
        return really(name, *args, **kwargs)

    app = create_app(tiny_settings.model_copy(update={"grpc_port": 1}))
    monkeypatch.setattr(builtins, "__import__", without_grpc)
    with pytest.raises(SettingsError, match=r"grpc_health.*pip install -r requirements.txt"):
        async with app.router.lifespan_context(app):
            pass
    assert "GRPC_PORT=1" in app.state.startup_problem

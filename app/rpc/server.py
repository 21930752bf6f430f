"""The gRPC server: on the application's event loop, started and stopped with it."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from loguru import logger

from app.core.settings import Settings, SettingsError
from app.rpc.admission import SIDE_CALLS, AdmissionInterceptor
from app.rpc.calls import ActiveCalls
from app.rpc.captioner import Captioner
from app.rpc.glossline.v1 import captioner_pb2_grpc
from app.rpc.health import SERVICE, Health
from app.services.container import Services

#: Seconds that running calls get to finish when the service stops.
GRACE_S = 20.0
#: Calls being refused at the same moment; each kind of call has its own limit (see admission.py).
REFUSALS = 512


@asynccontextmanager
async def rpc_server(services: Services, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the block lasts; yields the port (0 requests any). At its end running calls get GRACE_S. Raises
    SettingsError when the server cannot listen on that address."""
    calls = ActiveCalls(services.metrics)
    settings, hub = services.settings, services.captions
    server = grpc.aio.server(
        interceptors=[AdmissionInterceptor(SERVICE, services, calls)],
        options=_options(settings),
        maximum_concurrent_rpcs=settings.max_clients + settings.max_concurrent_requests + SIDE_CALLS + REFUSALS,
    )
    captioner_pb2_grpc.add_CaptionerServicer_to_server(Captioner(services, calls), server)
    health_pb2_grpc.add_HealthServicer_to_server(Health(services), server)
    names = (SERVICE, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    bound = _bind(server, host, port)
    await server.start()
    logger.info("gRPC on {}:{}", host, bound)
    try:
        yield bound
    finally:
        if not hub.draining:  # the signal was not handled: the server has no handlers (see app/server/shutdown.py)
            await hub.drain()
        # New calls are refused from here on. Health watchers would use up the time of grace, hence the two steps.
        stopping = asyncio.create_task(server.stop(GRACE_S))
        await calls.wait_until_idle(GRACE_S)
        await server.stop(None)
        await stopping


def _bind(server: grpc.aio.Server, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise SettingsError(
            f"GRPC_PORT={port}: cannot listen on {address}. Another program uses that port, or HOST is not an "
            "address of this machine. Choose another GRPC_PORT, or unset it to run without gRPC."
        )
    return bound


def _options(settings: Settings) -> list[tuple[str, int]]:
    # Several workers share the port; a single process must fail if it is taken.
    shared = multiprocessing.parent_process() is not None
    return [
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_receive_message_length", settings.max_upload_bytes),
        # A dead connection is detected within a minute and a half...
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # ... and a client may ping every ten seconds; one that does it more often is disconnected.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        # A connection without calls is closed after five minutes, one that does not finish its handshake after ten
        # seconds. grpcio neither reports nor limits the number of connections and the rate of a message.
        ("grpc.max_connection_idle_ms", 300_000),
        ("grpc.server_handshake_timeout_ms", 10_000),
    ]

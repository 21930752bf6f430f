"""The application: the only place where the parts of the service are wired together."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from app import __version__
from app.api import health, inference, live, openapi, pages, problems
from app.api import metrics as metrics_route
from app.api.middleware import BodyLimit, RequestContext
from app.api.socketio import PATH as SOCKETIO_PATH
from app.api.socketio import SocketIODoor
from app.core.logging import configure_logging
from app.core.settings import Settings, SettingsError, load_settings
from app.monitoring.gpu import GpuCollector
from app.monitoring.metrics import Metrics
from app.monitoring.middleware import Measure
from app.pipeline.checkpoint import CheckpointError
from app.services.checkpoints import check_checkpoint
from app.services.devices import gpu_readings, resolve_device
from app.services.gate import Gate
from app.services.inference import InferenceService
from app.services.live.drain import draining_first
from app.services.live.hub import LiveHub


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: InferenceService = app.state.service
    try:
        await service.start()
    except (SettingsError, CheckpointError) as problem:
        app.state.startup_problem = str(problem)
        await service.stop()
        raise
    hub: LiveHub = app.state.live
    hub.start(service.recogniser, service.model_thread, service.extractors, service.streams, service.device)
    try:
        async with _grpc(service, hub):
            with draining_first(hub.drain):
                yield
    except SettingsError as problem:
        app.state.startup_problem = str(problem)
        raise
    finally:
        await app.state.socketio.close()
        await hub.close()
        await service.stop()


@asynccontextmanager
async def _grpc(service: InferenceService, hub: LiveHub) -> AsyncIterator[None]:
    """The gRPC door while the block lasts, where GRPC_PORT asks for one. Raises SettingsError."""
    settings = service.settings
    if settings.grpc_port == 0:
        yield
        return
    try:
        from app.rpc.server import rpc_server  # only here: who does without gRPC need not have its packages
    except ImportError as problem:
        raise SettingsError(
            f"GRPC_PORT={settings.grpc_port}: the packages of gRPC cannot be loaded ({problem}). Install them with: "
            "python -m pip install -r requirements.txt"
        ) from problem
    async with rpc_server(service, hub, settings.host, settings.grpc_port):
        yield


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the service. Raises SettingsError when a setting, the checkpoint or the device cannot be used."""
    settings = settings or load_settings()
    check_checkpoint(settings)
    resolve_device(settings.device)
    configure_logging(settings)
    app = FastAPI(
        title="Glossline",
        version=__version__,
        description=openapi.DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.startup_problem = None
    app.state.metrics = metrics = Metrics()
    metrics.registry.register(GpuCollector(gpu_readings))
    app.state.service = InferenceService(settings, metrics)
    app.state.live = LiveHub(settings, metrics)
    app.state.socketio = SocketIODoor(app.state.live, settings)
    app.mount(SOCKETIO_PATH, app.state.socketio)
    app.state.uploads = Gate(settings.max_concurrent_requests, "uploads")
    app.include_router(inference.router)
    app.include_router(health.router)
    app.include_router(live.router)
    if settings.metrics:
        app.include_router(metrics_route.router)
    pages.install(app)
    problems.install(app)
    openapi.install(app)
    # Added last = outermost: the request context sees everything, refusals of the others included, and the server's
    # own `send`; right inside of it everything is counted.
    app.add_middleware(BodyLimit, limit=settings.max_upload_bytes)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    app.add_middleware(Measure, metrics=metrics)
    app.add_middleware(RequestContext)
    return app


def __getattr__(name: str) -> FastAPI:
    """`app.main:app` is built when a server asks for it, so that importing this module reads no settings.

    A setting that cannot be used ends the process with its message and exit code 2 instead of a traceback.
    """
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        built = create_app()
    except SettingsError as problem:
        print(f"Glossline cannot start.\n{problem}", file=sys.stderr)
        if multiprocessing.parent_process() is not None:
            # One of several workers: their supervisor would start it again for ever, and no setting mends itself.
            os.kill(os.getppid(), signal.SIGTERM)
        sys.exit(2)
    globals()["app"] = built
    return built

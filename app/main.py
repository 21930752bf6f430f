"""The application: the only place where the parts of the service are wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from loguru import logger

from app import __version__
from app.api import captions_ws as live
from app.api import health, inference, openapi, pages, problems, training
from app.api import metrics as metrics_route
from app.api.captions_socketio import MAX_PACKET, SocketIODoor
from app.api.captions_socketio import PATH as SOCKETIO_PATH
from app.api.middleware import BodyLimit, RequestContext
from app.api.origins import CheckOrigin, OriginPolicy
from app.api.request_metrics import Measure
from app.api.uploads import UploadPlaces
from app.core.limits import Gate
from app.core.logging import configure_logging
from app.core.settings import Settings, SettingsError, load_settings
from app.core.temp_files import remove_leftovers
from app.db.database import Database, DatabaseUnavailable
from app.monitoring.gpu import GpuCollector
from app.monitoring.metrics import Metrics
from app.pipeline.checkpoint import CheckpointError
from app.server.protect import protect_server
from app.server.serve import built_or_exit
from app.server.shutdown import PART_S, draining_first, exiting_in_time, within
from app.services.captions.hub import LiveHub
from app.services.recognition.active_checkpoint import CheckpointSwitch
from app.services.recognition.checkpoint_store import check_checkpoint
from app.services.recognition.devices import gpu_readings, resolve_device
from app.services.recognition.service import InferenceService
from app.services.training_jobs.service import TrainingJobs

#: How long the start waits for the database: one that is embedded and new needs some seconds.
DATABASE_START_S = 30.0
#: Who may follow the logs of training jobs at once.
MAX_FOLLOWERS = 32


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: InferenceService = app.state.service
    hub: LiveHub = app.state.live
    protect_server(service.settings)
    removed = await asyncio.to_thread(remove_leftovers)
    if removed:
        logger.info("removed {} uploads that killed processes had left in the temporary directory", removed)
    async with exiting_in_time(), _database(app) as choice:
        try:
            await service.start(choice)
        except (SettingsError, CheckpointError) as problem:
            app.state.startup_problem = str(problem)
            await service.stop()
            raise
        hub.start(service.recogniser, service.model_thread, service.landmarks, service.streams, service.device)
        try:
            async with _training(app), _grpc(service, hub):
                with draining_first(lambda: _drain(app), service.settings.training_stop_s):
                    yield
        except SettingsError as problem:
            app.state.startup_problem = str(problem)
            raise
        finally:
            await app.state.socketio.close()
            # A thread that decodes a picture cannot be stopped; the database still has to be closed.
            await within(PART_S, hub.close(), "live captions")
            await within(PART_S, service.stop(), "recognition")


async def _drain(app: FastAPI) -> None:
    """What has to be over before the server closes its sockets: live sessions, and followers of jobs with the jobs."""
    await asyncio.gather(app.state.live.drain(), app.state.training.close())


@asynccontextmanager
async def _database(app: FastAPI) -> AsyncIterator[Callable[[], Awaitable[tuple[str, Path]]]]:
    """The database while the block lasts; gives what tells the checkpoint to start with. A database that is not there
    keeps the service from training, not from recognising."""
    database: Database = app.state.database
    switch: CheckpointSwitch = app.state.switch
    if not app.state.service.settings.uses_database:
        yield switch.configured
        return

    async def choice() -> tuple[str, Path]:
        """Waits for the database as long as one that works may need to start, and no longer."""
        try:
            async with asyncio.timeout(DATABASE_START_S):
                await asyncio.shield(opening)
        except (DatabaseUnavailable, TimeoutError) as problem:
            logger.error(
                "the database ({}) cannot be reached: {}. Recognition goes on without it, training is answered with "
                "503 until it is there; it is looked for every few seconds",
                database.where,
                str(problem) or f"no answer within {DATABASE_START_S:g} s",
            )
        return await switch.at_start()

    opening = asyncio.create_task(database.open(), name="database-opening")
    keeping = asyncio.create_task(database.keep(), name="database-keeper")
    try:
        yield choice
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, opening, return_exceptions=True)
        await database.close()


@asynccontextmanager
async def _training(app: FastAPI) -> AsyncIterator[None]:
    training: TrainingJobs = app.state.training
    switch: CheckpointSwitch = app.state.switch
    if not app.state.service.settings.uses_database:
        yield
        return
    training.start()
    switch.start()
    try:
        yield
    finally:
        await switch.close()
        await training.close()


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
    url = settings.database_url.get_secret_value() if settings.database_url is not None else None
    try:
        app.state.database = Database(url, settings.data_dir)
    except ValueError as problem:
        raise SettingsError(f"DATABASE_URL=(hidden): {problem}") from None
    app.state.switch = CheckpointSwitch(settings, app.state.database, app.state.service, app.state.live)
    app.state.training = TrainingJobs(settings, app.state.database, app.state.service.computes_on)
    app.state.followers = Gate(MAX_FOLLOWERS, "followers of training logs", retry_after_s=10)
    app.state.socketio = SocketIODoor(app.state.live, settings)
    app.mount(SOCKETIO_PATH, app.state.socketio)
    app.state.uploads = UploadPlaces(settings)
    app.include_router(inference.router)
    app.include_router(health.router)
    app.include_router(live.router)
    app.include_router(training.router)
    if settings.metrics:
        app.include_router(metrics_route.router)
    pages.install(app)
    problems.install(app, live.PATH)
    openapi.install(app)
    # Added last = outermost: the request context sees everything, refusals of the others included, and the server's
    # own `send`; right inside of it everything is counted.
    limits = {
        inference.router.prefix: settings.max_upload_bytes,
        training.router.prefix: training.MAX_BODY_BYTES,
        SOCKETIO_PATH: MAX_PACKET,
    }
    app.add_middleware(BodyLimit, limits=limits)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    hosts = [*settings.allowed_hosts, settings.host.lower()]
    app.add_middleware(CheckOrigin, policy=OriginPolicy(hosts, settings.cors_origins))
    app.add_middleware(Measure, metrics=metrics)
    app.add_middleware(RequestContext)
    return app


def __getattr__(name: str) -> FastAPI:
    """`app.main:app` is built when a server asks for it, so that importing this module reads no settings."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()["app"] = built = built_or_exit(create_app)
    return built

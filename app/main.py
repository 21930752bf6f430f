"""The application: the only place where the parts of the service are wired together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from loguru import logger

from app import __version__
from app.api import (
    account,
    asyncapi,
    auth,
    billing,
    browser_landmarks,
    captions_follow,
    corpus,
    health,
    history,
    inference,
    openapi,
    pages,
    perform,
    problems,
    sign_sets,
    signs,
    speech,
    speech_ws,
    training,
    users,
    vocabulary,
)
from app.api import captions_ws as live
from app.api import keys as keys_routes
from app.api import metrics as metrics_route
from app.api.captions_socketio import MAX_PACKET, SocketIODoor
from app.api.captions_socketio import PATH as SOCKETIO_PATH
from app.api.middleware import BodyLimit, RequestContext
from app.api.origins import CheckOrigin, OriginPolicy
from app.api.request_metrics import Measure
from app.api.uploads import Uploads
from app.core.error_reports import error_reports
from app.core.errors import DatabaseUnavailable
from app.core.limits import ConcurrencyLimit
from app.core.logging import configure_logging
from app.core.memory import giving_memory_back
from app.core.native_lines import native_lines_as_json
from app.core.settings import Settings, SettingsError, load_settings
from app.core.temp_files import remove_leftovers
from app.core.tracing import tracing
from app.db.database import Database
from app.monitoring.disk import DiskCollector
from app.monitoring.gpu import GpuCollector
from app.monitoring.metrics import Metrics
from app.monitoring.readings import gpu_readings
from app.pipeline.checkpoint import CheckpointError
from app.server.protect import protect_server
from app.server.serve import built_or_exit
from app.server.shutdown import PART_S, draining_first, exiting_in_time, within
from app.services.accounts.access import Access
from app.services.accounts.keys import Keys
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.secret import Secret
from app.services.accounts.service import Accounts
from app.services.billing.credits import Credits
from app.services.billing.plans import check_prices, load_plans
from app.services.billing.stripe_billing import StripeBilling
from app.services.captions.hub import LiveHub
from app.services.container import Services
from app.services.conversation.translation import PatientTranslator
from app.services.history.service import History
from app.services.landmarks.process import landmark_engine
from app.services.performing.service import PerformingService
from app.services.recognition.active_checkpoint import ActiveCheckpoint, initial_checkpoint
from app.services.recognition.checkpoint_store import CheckpointEntry, check_checkpoint, configured_checkpoint
from app.services.recognition.devices import resolve_device
from app.services.recognition.model_host import ModelHost
from app.services.recognition.rewriting import SentenceRewriter
from app.services.recognition.service import ClipService, warm_up
from app.services.signs.corpus import Corpora
from app.services.signs.embedding import embedding_with
from app.services.signs.service import SignSets
from app.services.speech.engines import Engines
from app.services.speech.live.hub import SpeechHub
from app.services.speech.own_voices import OwnVoices, Speakers
from app.services.speech.service import SpeechService
from app.services.training_jobs.service import TrainingJobs

#: How long the start waits for the database; a new embedded one needs several seconds.
DATABASE_START_S = 30.0
#: Connections that follow the log of a training job at once.
MAX_FOLLOWERS = 32


@asynccontextmanager
async def _services(settings: Settings, metrics: Metrics) -> AsyncIterator[Services]:
    """All parts of the service, each made of those before it. However the block ends, and if the start fails half-way,
    the parts are closed in the reverse order. Raises SettingsError or CheckpointError with what to do."""
    async with AsyncExitStack() as stack:
        stack.enter_context(giving_memory_back())
        database, choose = await _database(stack, settings, metrics)
        limits = RateLimits(settings)
        accounts: Accounts | None = None
        keys: Keys | None = None
        if database is not None:
            secret = await asyncio.to_thread(Secret.of, settings)
            accounts, keys = Accounts(settings, database, secret, limits), Keys(settings, database, secret)
            stack.push_async_callback(within, PART_S, "accounts", accounts.close)
        credits = Credits(settings, database, load_plans(settings.plans_file), metrics)
        stack.push_async_callback(within, PART_S, "credits", credits.close)
        stripe: StripeBilling | None = None
        if database is not None and settings.stripe_secret_key is not None:
            stripe = StripeBilling(settings, database, credits.plans, metrics)
            stack.push_async_callback(within, PART_S, "payments", stripe.close)
        kept: History | None = None
        if database is not None:
            kept = History(settings, database)
            stack.push_async_callback(within, PART_S, "history", kept.close)
        # A thread that decodes an image cannot be stopped; what was opened before it still has to be closed.
        landmarks = landmark_engine(settings.extractor_workers)
        stack.push_async_callback(within, PART_S, "landmarks", partial(asyncio.to_thread, landmarks.close))
        warming = asyncio.ensure_future(asyncio.to_thread(warm_up, landmarks))  # beside the recogniser
        stack.push_async_callback(asyncio.wait, {warming})
        host = await ModelHost.load(settings, metrics, choose)
        stack.push_async_callback(within, PART_S, "the recogniser", host.close)
        await warming
        engines = Engines.of(settings, host.recogniser.device)
        spoken = SpeechService(settings, engines)
        stack.push_async_callback(within, PART_S, "speech", spoken.close)
        performing = PerformingService(spoken)
        stack.push_async_callback(within, PART_S, "performances", performing.close)
        translator = PatientTranslator(spoken.translated, spoken.translates)
        rewrites = settings.rewrite_sentences and settings.speech_api_url is not None
        rewriter = SentenceRewriter(spoken.fluent(settings.rewriting_wait_s)) if rewrites else None
        clips = ClipService(settings, host, landmarks, metrics, spoken.spanish_of_clips(translator), rewriter)
        stack.push_async_callback(within, PART_S, "clips", clips.close)
        await credits.start()
        corpora: Corpora | None = None
        taught: SignSets | None = None
        if database is not None:
            corpora = Corpora(database, settings.datasets_dir)
            corpora.look()
            stack.push_async_callback(corpora.close)
            taught = SignSets(database, embedding_with(host), corpora.refresh)
        own_voices = OwnVoices(database, spoken) if database is not None else None
        voices = Speakers(spoken, own_voices)
        captions = LiveHub(settings, host, landmarks, metrics, credits, kept, taught, translator, voices, rewriter)
        stack.push_async_callback(within, PART_S, "live captions", captions.close)
        live_speech = SpeechHub(settings, spoken, translator, metrics, credits, voices, performing.signs_of)
        stack.push_async_callback(within, PART_S, "live speech", live_speech.close)
        checkpoint: ActiveCheckpoint | None = None
        training: TrainingJobs | None = None
        if database is not None:
            training = TrainingJobs(settings, database, lambda: host.recogniser.device, metrics)
            stack.push_async_callback(training.close)
            checkpoint = ActiveCheckpoint(settings, database, host)
            stack.push_async_callback(checkpoint.close)
        services = Services(
            settings=settings,
            metrics=metrics,
            database=database,
            rate_limits=limits,
            accounts=accounts,
            keys=keys,
            access=Access(settings, accounts, keys, limits),
            credits=credits,
            stripe=stripe,
            history=kept,
            sign_sets=taught,
            corpora=corpora,
            host=host,
            clips=clips,
            captions=captions,
            speech=spoken,
            performing=performing,
            own_voices=own_voices,
            live_speech=live_speech,
            checkpoint=checkpoint,
            training=training,
            followers=ConcurrencyLimit(MAX_FOLLOWERS, "followers of training logs", retry_after_s=10),
        )
        await _grpc(stack, services)
        yield services


async def _database(
    stack: AsyncExitStack, settings: Settings, metrics: Metrics
) -> tuple[Database | None, Callable[[], Awaitable[CheckpointEntry]]]:
    """The database, if anything needs one, and a function that picks the initial checkpoint. A database that is
    unavailable keeps the service from training, not from recognising."""

    async def configured() -> CheckpointEntry:
        return configured_checkpoint(settings)

    if not settings.uses_database:
        return None, configured
    database = Database.of(settings)
    metrics.before_reading(lambda: metrics.database_up.set(database.problem is None))
    opening = await stack.enter_async_context(database.kept_open())

    async def chosen() -> CheckpointEntry:
        """Wait for the database, but no longer than DATABASE_START_S."""
        try:
            async with asyncio.timeout(DATABASE_START_S):
                await asyncio.shield(opening)
        except (DatabaseUnavailable, TimeoutError) as problem:
            late = f"no answer within {DATABASE_START_S:g} s"
            logger.error(
                "the database ({}) cannot be reached: {}. Recognition continues without it, training is answered with "
                "503 until it is back; retrying every few seconds",
                database.where,
                database.problem if isinstance(problem, DatabaseUnavailable) else late,
            )
        return await initial_checkpoint(settings, database)

    return database, chosen


async def _grpc(stack: AsyncExitStack, services: Services) -> None:
    """The gRPC door, where GRPC_PORT asks for one. Raises SettingsError."""
    settings = services.settings
    if settings.grpc_port == 0:
        return
    try:
        from app.rpc.server import rpc_server  # imported here: nothing else needs its packages
    except ImportError as problem:
        raise SettingsError(
            f"GRPC_PORT={settings.grpc_port}: the gRPC packages cannot be loaded ({problem}). Install them with: "
            "python -m pip install -r requirements.txt"
        ) from problem
    await stack.enter_async_context(rpc_server(services, settings.host, settings.grpc_port))


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, metrics: Metrics, socketio: SocketIODoor) -> AsyncIterator[None]:
    protect_server(settings)
    removed = await asyncio.to_thread(remove_leftovers)
    if removed:
        what = "upload" if removed == 1 else "uploads"
        logger.info("removed {} {} that killed processes had left in the temporary directory", removed, what)
    with native_lines_as_json():
        async with _running(app, settings, metrics, socketio):
            yield


@asynccontextmanager
async def _running(app: FastAPI, settings: Settings, metrics: Metrics, socketio: SocketIODoor) -> AsyncIterator[None]:
    try:
        with error_reports(settings, __version__), tracing(settings, __version__):
            async with exiting_in_time(), _services(settings, metrics) as services:
                app.state.services = services
                try:
                    with draining_first(lambda: _drain(services), settings.training_stop_s):
                        yield
                finally:
                    await socketio.close()
    except (SettingsError, CheckpointError) as problem:
        app.state.startup_problem = str(problem)
        raise
    finally:
        app.state.services = None


async def _drain(services: Services) -> None:
    """What has to be over before the server closes its sockets: live sessions, and followers of jobs with the jobs."""
    training = services.training.close() if services.training is not None else asyncio.sleep(0)
    await asyncio.gather(services.captions.drain(), services.live_speech.drain(), training)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the service. Raises SettingsError when a setting, the checkpoint or the device cannot be used."""
    settings = settings or load_settings()
    check_checkpoint(settings)
    resolve_device(settings.device)
    Database.of(settings)
    check_prices(load_plans(settings.plans_file), settings.stripe_prices)
    configure_logging(settings)
    metrics, socketio = Metrics(), SocketIODoor(settings)
    metrics.registry.register(GpuCollector(gpu_readings))
    folders = {"data": settings.data_dir, "runs": settings.runs_dir, "datasets": settings.datasets_dir}
    metrics.registry.register(DiskCollector(folders))
    metrics.build.labels(__version__, settings.revision).set(1)
    app = FastAPI(
        title="Glossline",
        version=__version__,
        description=openapi.DESCRIPTION,
        lifespan=partial(_lifespan, settings=settings, metrics=metrics, socketio=socketio),
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = None  # a Services from the start of the lifespan to its end
    app.state.startup_problem = None
    app.state.uploads = Uploads(settings)
    app.mount(SOCKETIO_PATH, socketio)
    app.include_router(inference.router)
    app.include_router(health.router)
    app.include_router(vocabulary.router)
    app.include_router(sign_sets.router)  # before the last of these, which takes any path below /api/signs
    app.include_router(corpus.router)
    app.include_router(perform.router)
    app.include_router(signs.router)
    app.include_router(live.router)
    app.include_router(captions_follow.router)
    app.include_router(speech.router)
    app.include_router(speech_ws.router)
    app.include_router(training.router)
    app.include_router(auth.router)
    app.include_router(users.router)
    app.include_router(keys_routes.router)
    app.include_router(billing.router)
    app.include_router(history.router)
    app.include_router(account.router)
    app.include_router(pages.router)
    app.include_router(asyncapi.router)
    app.include_router(browser_landmarks.router)
    if settings.metrics:
        app.include_router(metrics_route.router)
    if settings.admin_pages:
        from app.api.admin import pages as admin_pages  # imported here: nothing else needs its packages

        admin_pages.install(app)
    problems.install(app, live.PATH)
    openapi.install(app)
    # Added last = outermost: the request context sees everything, refusals of the others included, and the server's
    # own `send`; right inside of it everything is counted.
    limits = {
        inference.router.prefix: settings.max_upload_bytes,
        training.router.prefix: training.MAX_BODY_BYTES,
        billing.router.prefix: billing.MAX_BODY_BYTES,
        history.router.prefix: history.MAX_BODY_BYTES,
        f"{speech.PREFIX}/transcribe": settings.max_upload_bytes,
        f"{speech.PREFIX}/": speech.MAX_JSON,
        f"{speech.ALIASES}/transcriptions": settings.max_upload_bytes,
        f"{speech.ALIASES}/": speech.MAX_JSON,
        sign_sets.router.prefix: settings.max_upload_bytes,
        perform.PATH: perform.MAX_JSON,
        speech.VOICE: speech.MAX_SAMPLE,
        SOCKETIO_PATH: MAX_PACKET,
    }
    app.add_middleware(BodyLimit, limits=limits)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
                "X-API-Key",
                "X-Request-ID",
            ],
            expose_headers=["Idempotent-Replayed", "Own-Voice", "X-Request-ID", "Retry-After"],
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

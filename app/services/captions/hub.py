"""All live sessions of this process: who may come in, who comes back after a lost connection, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from loguru import logger

from app.core.limits import ConcurrencyLimit
from app.core.settings import Settings
from app.monitoring.metrics import FRAMES, Metrics
from app.pipeline.keypoints import DEFAULT_ASPECT
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkEngine
from app.pipeline.streaming import CaptionStream, StreamConfig
from app.services.captions.camera import Camera
from app.services.captions.commands import MAX_LANDMARK_FRAMES, Close, Landmarks, LiveError, Picture, Resume, Start
from app.services.captions.session import TOO_SLOW, Counters, LiveSession
from app.services.conversation.address_limits import AddressLimits
from app.services.conversation.outbox import Event, SlowReader
from app.services.recognition.model_host import ModelHost

#: A session waits that long for its client to come back.
RESUME_S = 30.0
#: What is open when a session ends gets that long to be read.
FINISH_S = 10.0
#: A client that says nothing for so long is gone; a session that lasts longer than this begins anew.
IDLE_S = 60.0
MAX_SESSION_S = 4 * 3600.0
#: Pings keep a session open without frames for this long; one that has had none for SILENT_S gives its place to a
#: newcomer where all are taken.
NO_FRAMES_S, SILENT_S = 900.0, 30.0
#: The sign language of a recogniser whose training did not say which one it is (ISO 639-3).
UNDETERMINED = "und"


@dataclass(slots=True)
class _Place:
    session: LiveSession
    camera: Camera | None = None
    connected: bool = True
    lost_at: float = 0.0
    connection: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    counted: Counters = field(default_factory=Counters)  # frames that are in the metrics already


class LiveHub:
    """For one event loop, which has to be running; it begins here and ends with `close`."""

    def __init__(self, settings: Settings, host: ModelHost, landmarks: LandmarkEngine, metrics: Metrics) -> None:
        """host: reads the windows, names the recogniser of new sessions. landmarks: opens a track for each camera."""
        self._settings, self._host, self._landmarks, self.metrics = settings, host, landmarks, metrics
        self._on_stage = metrics.stages("live")
        self._places: dict[str, _Place] = {}
        self._draining = False
        #: Sessions with a client.
        self.streams = ConcurrencyLimit(settings.max_clients, "live streams", retry_after_s=10)
        self._limits = AddressLimits(
            at_once=settings.max_clients_per_address or max(1, settings.max_clients * 3 // 4),
            burst=settings.connects_per_address or 60 + 2 * settings.max_clients,
            loopback_exempt=settings.max_clients_per_address is None,
        )
        # Of its own: uploaded videos keep theirs for as long as they last.
        self._camera_threads = ThreadPoolExecutor(max(2, landmarks.size), thread_name_prefix="camera")
        self._sweeper = asyncio.create_task(self._sweep(), name="live-sweeper")
        metrics.before_reading(self._tell_numbers)

    async def close(self) -> None:
        """End everything at once; `drain` first for an orderly end."""
        self._draining = True
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        for session_id in list(self._places):
            await self.drop(session_id)
        await asyncio.to_thread(self._camera_threads.shutdown)

    # -- coming and going ---------------------------------------------------------------------------------------------

    @property
    def active(self) -> int:
        """Sessions, those that wait for their client to come back included."""
        return len(self._places)

    @property
    def connected(self) -> int:
        return sum(place.connected for place in self._places.values())

    @property
    def draining(self) -> bool:
        return self._draining

    @contextlib.contextmanager
    def guest(self, address: str | None) -> Iterator[None]:
        """Hold a connection, from before its session begins until after it ends. Raises LiveError: draining, full, or
        too many connections of this address."""
        self._check_open()
        with self._limits.guest(address):
            yield

    def _check_open(self) -> None:
        if self._draining:
            raise LiveError("draining", "The service is shutting down; connect again in a moment.", Close.DRAINING)
        if self._host.device.fault is not None:
            raise LiveError("device_fault", "The device has failed; the service has to be restarted.", Close.INTERNAL)

    def check_room(self) -> None:
        """Raises LiveError when no new session can begin."""
        self._check_open()
        if self.streams.full and self._silent() is None:
            raise LiveError(
                "full",
                f"{self.streams.in_use} live sessions are open, as many as this service takes. Try again later.",
                Close.FULL,
            )

    def attempt(self, address: str | None) -> None:
        """Count an attempt of this address to get in. Raises LiveError when there were too many."""
        self._limits.attempt(address)

    def open(self, start: Start) -> LiveSession:
        """A new session. Raises LiveError: full, draining, or a start that asks for what cannot be had."""
        self.check_room()
        recogniser = self._host.recogniser
        known = recogniser.sign_language
        if start.sign_language not in (None, known) and known != UNDETERMINED:
            raise LiveError(
                "bad_start",
                f"sign_language: this service reads '{known}', not '{start.sign_language}'.",
                Close.BAD_START,
            )
        try:
            config = StreamConfig(
                window=start.window or self._settings.clip_length,
                stride=start.stride or self._settings.stride,
                endpoint_s=start.endpoint_ms / 1000,
            )
        except ValueError as problem:
            raise LiveError("bad_start", f"window, stride: {problem}", Close.BAD_START) from problem
        self._make_room()
        if self.streams.full and (silent := self._silent()) is not None:
            silent.session.failed = LiveError(
                "idle", f"No frame came for {SILENT_S:g} seconds, and another client needed the place.", Close.IDLE
            )
            self.lost(silent.session, silent.connection)
        stream = CaptionStream(recogniser, config, start.aspect or DEFAULT_ASPECT, self._on_stage)
        effective = start.model_copy(
            update={
                "window": config.window,
                "stride": config.stride,
                "resume": None,
                "sign_language": start.sign_language or known,
            }
        )
        session = LiveSession(effective, stream, self._host.live, on_lag=self.metrics.caption_lag.observe)
        self._places[session.id] = _Place(session)
        self.metrics.live_opened.inc()
        self.streams.in_use += 1
        session.tell("ready", **self._ready(session))
        for target in start.targets:
            if target != "en":
                session.tell("warning", code="no_translation", message=f"No translation to '{target}' is installed.")
        return session

    def _silent(self) -> _Place | None:
        """The session that has had no frame for longest, if that is long enough to give its place to another."""
        latest = time.monotonic() - SILENT_S
        silent = [
            place
            for place in self._places.values()
            if place.connected and place.session.failed is None and place.session.last_frame < latest
        ]
        return min(silent, key=lambda place: place.session.last_frame, default=None)

    def _make_room(self) -> None:
        """Clients that went away may come back only while nobody else needs their place."""
        away = [(place.lost_at, i) for i, place in self._places.items() if not place.connected]
        if away and len(self._places) >= self._settings.max_clients:
            self._dropping = asyncio.ensure_future(self.drop(min(away)[1]))

    def resume(self, asked: Resume) -> LiveSession:
        """The session of a client that lost its connection; what it has not seen comes again. Raises LiveError."""
        place = self._places.get(asked.session_id)
        if place is None or not hmac.compare_digest(place.session.token, asked.token):
            raise LiveError("unknown_session", "There is no such session (any more); start a new one.", Close.BAD_START)
        if not place.connected:
            place.connected = True
            self.streams.in_use += 1
        place.connection += 1
        session = place.session
        session.last_heard = time.monotonic()
        session.outbox.reconnect(asked.last_seq)
        session.outbox.put_first({"type": "ready", **self._ready(session)})
        return session

    def connection_of(self, session: LiveSession) -> int:
        """Number of the session's connection: the door that holds an older one has lost it."""
        place = self._places.get(session.id)
        return -1 if place is None else place.connection

    def lost(self, session: LiveSession, connection: int) -> None:
        """The connection broke without a farewell: the session waits for its client."""
        place = self._places.get(session.id)
        if place is not None and place.connection == connection and place.connected:
            place.connected = False
            self.streams.in_use -= 1
            place.left.set()
            place.lost_at = time.monotonic()

    async def drop(self, session_id: str) -> None:
        place = self._places.pop(session_id, None)
        if place is not None:
            if place.connected:
                self.streams.in_use -= 1
            place.left.set()
            place.session.finished = True
            self._host.live.forget(place.session)
            try:
                if place.camera is not None:
                    await place.camera.close()
            finally:
                self._count_frames(place)

    # -- frames -------------------------------------------------------------------------------------------------------

    def take(self, session: LiveSession, command: Picture | Landmarks) -> None:
        """Frames of a session. Raises LiveError."""
        session.take(command)
        if isinstance(command, Picture):
            place = self._places[session.id]
            if place.camera is None:
                place.camera = Camera(session, self._camera_threads, self._landmarks, self._host.device, self._on_stage)
            place.camera.wake()

    # -- numbers ------------------------------------------------------------------------------------------------------

    def _count_frames(self, place: _Place) -> None:
        """Frames enter the metrics when somebody looks and when a session ends: they come too often for more."""
        now, before = place.session.counters, place.counted
        for outcome in FRAMES:
            self.metrics.live_frames.labels(outcome).inc(getattr(now, outcome) - getattr(before, outcome))
        place.counted = replace(now)

    def _tell_numbers(self) -> None:
        metrics, places = self.metrics, self._places.values()
        for place in places:
            self._count_frames(place)
        metrics.live_sessions.set(self.active)
        metrics.live_connected.set(self.connected)
        metrics.waiting.labels("frames").set(sum(place.session.frames_waiting for place in places))
        metrics.waiting.labels("pictures").set(sum(len(place.session.pictures) for place in places))

    # -- the end ------------------------------------------------------------------------------------------------------

    async def finish(self, session: LiveSession) -> None:
        """Read what is there, make it final, say `done`."""
        await session.flushed(FINISH_S)
        session.finished = True
        try:
            session.tell("done", usage=session.usage())
        except SlowReader:
            session.failed = TOO_SLOW

    async def drain(self) -> None:
        """No new sessions; every open one gets its finals and `closing`."""
        self._draining = True

        async def one(place: _Place) -> None:
            session = place.session
            await session.flushed(FINISH_S / 2)
            with contextlib.suppress(SlowReader):
                session.tell("closing", reason="draining", resume_token=None)
            session.failed = LiveError("draining", "The service is shutting down.", Close.DRAINING)
            if place.connected:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FINISH_S / 2):
                        await place.left.wait()

        await asyncio.gather(*(one(place) for place in list(self._places.values())))

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for session_id, place in list(self._places.items()):
                session = place.session
                session.flush_if_quiet()
                if not place.connected:
                    if now - place.lost_at > RESUME_S:
                        logger.info("live session {} was not resumed", session_id)
                        await self.drop(session_id)
                elif session.failed is None and session.idle_s > IDLE_S:
                    session.failed = LiveError("idle", f"Nothing came for {IDLE_S:g} seconds.", Close.IDLE)
                elif session.failed is None and now - session.last_frame > NO_FRAMES_S:
                    message = f"No frame came for {NO_FRAMES_S / 60:g} minutes."
                    session.failed = LiveError("idle", message, Close.IDLE)
                elif session.failed is None and now - session.began > MAX_SESSION_S:
                    session.failed = LiveError("too_long", "The session has lasted its four hours.", Close.TOO_LONG)

    def _ready(self, session: LiveSession) -> Event:
        start, recogniser = session.start, session.recogniser
        return {
            "session_id": session.id,
            "resume_token": session.token,
            "config": start.model_dump(mode="json", exclude={"type", "resume"}),
            "model": {
                "id": recogniser.model_id,
                "glosses": len(recogniser.vocabulary),
                "sign_language": recogniser.sign_language,
                "fps": recogniser.fps,
            },
            "limits": {
                "idle_s": IDLE_S,
                "session_s": MAX_SESSION_S,
                "resume_s": RESUME_S,
                "landmark_frames_per_message": MAX_LANDMARK_FRAMES,
            },
        }

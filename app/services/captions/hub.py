"""All live sessions of this process: admission, resuming after a lost connection, expiry and shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from loguru import logger

from app.core import errors
from app.core.limits import ConcurrencyLimit
from app.core.principal import ANONYMOUS, Principal
from app.core.settings import Settings
from app.monitoring.metrics import FRAMES, Metrics
from app.pipeline.keypoints import DEFAULT_ASPECT
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkEngine
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream, StreamConfig
from app.services.billing import limits as plan_limits
from app.services.billing.credits import Credits, Reservation
from app.services.billing.live_charge import LiveCharge, hold
from app.services.captions.camera import Camera, CameraClient
from app.services.captions.commands import MAX_LANDMARK_FRAMES, Start
from app.services.captions.events import Config, Final, Limits, Ready, RecogniserInfo, VocabularyInUse
from app.services.captions.followers import Followers, follow_id
from app.services.captions.recording import LiveRecord
from app.services.captions.session import FINISH_S, Counters, LiveSession
from app.services.conversation.address_limits import AddressLimits
from app.services.conversation.events import Event
from app.services.conversation.sessions import Entry, LiveSessions, Times
from app.services.conversation.spoken import Speaker, Voices, speaker_for
from app.services.conversation.translation import PatientTranslator
from app.services.history.service import History, checked_owner
from app.services.recognition.model_host import ModelHost
from app.services.recognition.rewriting import SentenceRewriter
from app.services.recognition.vocabularies import Vocabulary, reading_with
from app.services.signs.reading import found
from app.services.signs.service import SignSets

#: Seconds within which a client may resume its session.
RESUME_S = 30.0
#: A session ends after this many seconds without a message, and at the latest after MAX_SESSION_S.
IDLE_S = 60.0
MAX_SESSION_S = 4 * 3600.0
#: Pings keep a session open without frames for NO_FRAMES_S; when all places are taken, a session without frames for
#: SILENT_S is ended in favour of a new one.
NO_FRAMES_S, SILENT_S = 900.0, 30.0
#: The sign language of a recogniser for which training did not record one (ISO 639-3, undetermined).
UNDETERMINED = "und"


@dataclass(slots=True)
class _Entry(Entry[LiveSession]):
    counted: Counters = field(default_factory=Counters)
    """Frames already counted in the metrics."""


class LiveHub(LiveSessions[_Entry]):
    """The Sessions of conversations (see there). Not thread-safe; needs a running event loop."""

    def __init__(
        self,
        settings: Settings,
        host: ModelHost,
        landmarks: LandmarkEngine,
        metrics: Metrics,
        credits: Credits | None = None,
        history: History | None = None,
        sign_sets: SignSets | None = None,
        translator: PatientTranslator | None = None,
        voices: Voices | None = None,
        rewriter: SentenceRewriter | None = None,
    ) -> None:
        """host: reads the windows, names the recogniser of new sessions. landmarks: opens a track for each camera.
        credits: pay for sessions; None: all are free. history: keeps the captions of sessions that ask for it.
        sign_sets: finds those that sessions read with. translator: for captions in Spanish. voices: read them aloud.
        rewriter: makes finals fluent."""
        self._sign_sets, self._translator, self._voices, self._rewriter = sign_sets, translator, voices, rewriter
        self._credits, self._history = credits, history
        if credits is not None:
            credits.drop_lost.append(self.drop_lost)
        self._settings, self._host, self._landmarks, self.metrics = settings, host, landmarks, metrics
        self._on_stage = metrics.stages("live")
        self.followers = Followers()
        """Who reads along."""
        limits = AddressLimits(
            at_once=settings.max_clients_per_address or max(1, settings.max_clients * 3 // 4),
            burst=settings.connects_per_address or 60 + 2 * settings.max_clients,
            loopback_exempt=settings.max_clients_per_address is None,
        )
        streams = ConcurrencyLimit(settings.max_clients, "live streams", retry_after_s=10)
        super().__init__(streams, limits, "live-sweeper")
        # Separate threads: uploaded videos occupy theirs until they are read.
        self._camera_threads = ThreadPoolExecutor(max(2, landmarks.size), thread_name_prefix="camera")
        metrics.before_reading(self._update_metrics)

    async def close(self) -> None:
        """End everything at once; call `drain` first for a graceful shutdown."""
        self.followers.close()
        await super().close()
        await asyncio.to_thread(self._camera_threads.shutdown)

    # -- opening and closing ------------------------------------------------------------------------------------------

    @property
    def times(self) -> Times:
        return Times(RESUME_S, IDLE_S, MAX_SESSION_S, FINISH_S)

    def _check_open(self) -> None:
        super()._check_open()
        if self._host.device.fault is not None:
            raise errors.DeviceFault("The device has failed; the service has to be restarted.")

    def check_room(self) -> None:
        """Raises Draining, DeviceFault or Full when no new session can begin."""
        self._check_open()
        if self.streams.full and self._silent() is None:
            raise errors.Full(
                f"{self.streams.in_use} live sessions are open, the limit of this service. Try again later."
            )

    async def check_vocabulary(
        self, vocabulary: Vocabulary, sign_sets: Sequence[str] = (), principal: Principal = ANONYMOUS
    ) -> None:
        """Raise UnknownVocabulary if no session can be read with this one now."""
        await self._reading(principal, vocabulary, sign_sets)

    async def _reading(self, principal: Principal, vocabulary: Vocabulary, sign_sets: Sequence[str]) -> Recogniser:
        wanted = await found(self._sign_sets, self._host, principal, vocabulary, sign_sets)
        return await reading_with(self._host.recogniser, wanted)

    async def open(self, start: Start | None = None, principal: Principal = ANONYMOUS) -> LiveSession:
        """A new session of this principal; None: with the defaults. Raises Draining, DeviceFault, Full, BadStart,
        UnknownVocabulary, InsufficientCredits, PlanLimit, DatabaseUnavailable."""
        self.check_room()
        start = start or Start()
        recogniser = await self._reading(principal, start.vocabulary, start.sign_sets)
        try:
            config = StreamConfig(
                window=start.window or self._settings.clip_length,
                stride=start.stride or self._settings.stride,
                endpoint_s=start.endpoint_ms / 1000,
            )
        except ValueError as problem:
            raise errors.BadStart(f"window, stride: {problem}") from problem
        known = recogniser.sign_language
        if start.sign_language not in (None, known) and known != UNDETERMINED:
            raise errors.BadStart(f"sign_language: this service reads '{known}', not '{start.sign_language}'.")
        speaker, no_voice, no_own_voice = None, None, None
        if start.voice is not None:
            try:
                speaker, no_own_voice = await self._speaker(start, principal)
            except errors.ServiceError as problem:
                no_voice = problem.detail
            targets = start.targets if start.voice in start.targets else (*start.targets, start.voice)
            start = start.model_copy(update={"targets": targets})
        translator = self._translator if "es" in start.targets else None
        if translator is not None and not await asyncio.to_thread(translator.available):
            translator = None
        if translator is not None:
            await translator.warm("en", "es")
        reservation = await self._reserved(start, principal)
        try:
            self.check_room()  # others may have come meanwhile
        except errors.ServiceError:
            if self._credits is not None and reservation is not None:
                await self._credits.release(reservation)
            raise
        away = [(entry.lost_at, i) for i, entry in self._entries.items() if not entry.connected]
        if away and len(self._entries) >= self._settings.max_clients:  # a session that may be resumed makes room
            self._dropping = asyncio.ensure_future(self.drop(min(away)[1]))
        if self.streams.full and (silent := self._silent()) is not None:
            message = f"No frame came for {SILENT_S:g} seconds, and another client needed its place."
            silent.session.fail(errors.Idle(message))
            self.lost(silent.session, silent.connection)
        plan = None if reservation is None else reservation.plan
        targets, left_out = (start.targets, ()) if plan is None else plan_limits.languages(plan, start.targets)
        settings = {
            "targets": targets,
            "voice": start.voice if start.voice in targets and speaker is not None else None,
            "window": config.window,
            "stride": config.stride,
            "sign_language": start.sign_language or known,
            "vocabulary": recogniser.reads,
        }
        session = LiveSession(
            start.model_copy(update=settings),
            CaptionStream(recogniser, config, start.aspect or DEFAULT_ASPECT, self._on_stage),
            self._host.live,
            self._open_camera,
            on_lag=self.metrics.caption_lag.observe,
            principal=principal,
            on_final=self._count_signs,
            find=partial(found, self._sign_sets, self._host, principal),
        )
        session.own_voice = speaker.own if speaker is not None else None
        if self._credits is not None and reservation is not None and plan is not None:
            session.charge = LiveCharge(self._credits, reservation, plan, session)
        not_saved = self._keep(session) if start.save else None
        if start.follow is not None:
            session.publish = partial(self.followers.publish, follow_id(start.follow))
        self._entries[session.id] = _Entry(session)
        self.metrics.live_opened.inc()
        self.streams.in_use += 1
        session.send_event(_ready(session))
        if not_saved is not None:
            session.warn("not_available", not_saved)
        if plan is not None:
            for target in left_out:
                session.warn("plan_limit", f"The plan {plan.title} has no captions in '{target}': they are left out.")
        if "es" not in targets:
            translator = None
        if translator is not None or self._rewriter is not None:
            session.complete_with(translator, self._rewriter)
        if session.start.voice is not None and speaker is not None:
            session.speak_with(speaker.speak, session.start.voice)
        if no_voice is not None:
            session.warn("no_voice", no_voice)
        if no_own_voice is not None:
            session.warn("no_own_voice", no_own_voice)
        for target in targets:
            if target != "en" and not (target == "es" and session.translates):
                session.warn("no_translation", f"No translation to '{target}' is installed.")
        return session

    async def _speaker(self, start: Start, principal: Principal) -> tuple[Speaker, str | None]:
        """As `speaker_for`."""
        if self._voices is None:
            raise errors.SpeechUnavailable("This service has no voice.")
        return await speaker_for(self._voices, principal, start.own_voice)

    def _keep(self, session: LiveSession) -> str | None:
        """Record its captions; why not, where that is impossible."""
        try:
            history, owner = checked_owner(self._history, session.principal)
        except (errors.Unauthenticated, errors.DatabaseUnavailable) as problem:
            session.start = session.start.model_copy(update={"save": False})
            return problem.detail
        session.record = LiveRecord(
            owner,
            history.writer.put,
            session.warn,
            live_session=session.id,
            sign_language=session.start.sign_language,
            model=session.recogniser.model_id,
            vocabulary=session.recogniser.reads,
        )
        return None

    async def _reserved(self, start: Start, principal: Principal) -> Reservation | None:
        """Credits for the beginning of a session, see `hold`."""
        if self._credits is None:
            return None
        check = plan_limits.reading_with(start.vocabulary, targets=start.targets, voice=start.voice is not None)
        return await hold(self._credits, principal, check)

    def _open_camera(self, client: CameraClient) -> Camera:
        return Camera(client, self._camera_threads, self._landmarks, self._host.device, self._on_stage)

    def _silent(self) -> _Entry | None:
        """The session without frames for longest, if that is long enough to end it in favour of another."""
        silent = [
            entry
            for entry in self._entries.values()
            if entry.connected and entry.session.failed is None and entry.session.frameless_s > SILENT_S
        ]
        return max(silent, key=lambda entry: entry.session.frameless_s, default=None)

    def _ready(self, session: LiveSession) -> Ready:
        return _ready(session)

    def _overdue(self, session: LiveSession) -> errors.ServiceError | None:
        if session.frameless_s > NO_FRAMES_S:
            return errors.Idle(f"No frame came for {NO_FRAMES_S / 60:g} minutes.")
        return None

    def _ended(self, entry: _Entry) -> None:
        self._count_frames(entry)
        session = entry.session
        if session.record is not None:
            paid = self._credits is not None and session.charge is not None
            cost = self._credits.plans.credits("live", session.used_s) if self._credits and paid else 0
            session.record.end(session.used_s, cost)
        _log_end(session)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def count_refusal(self, problem: errors.ServiceError) -> None:
        self.metrics.live_refused.labels(problem.code).inc()

    def count_event(self, event: Event) -> None:
        self.metrics.live_events.labels(event.type).inc()

    def _count_signs(self, final: Final) -> None:
        self.metrics.count_signs("live", ((sign.confidence, sign.unsure) for sign in final.gloss))

    def _count_frames(self, entry: _Entry) -> None:
        """Frames are counted when the metrics are read and when a session ends: counting each would cost too much."""
        now, before = entry.session.counters, entry.counted
        for outcome in FRAMES:
            self.metrics.live_frames.labels(outcome).inc(getattr(now, outcome) - getattr(before, outcome))
        entry.counted = replace(now)

    def _update_metrics(self) -> None:
        metrics, entries = self.metrics, self._entries.values()
        for entry in entries:
            self._count_frames(entry)
        metrics.live_sessions.set(self.active)
        metrics.live_connected.set(self.streams.in_use)
        metrics.waiting.labels("frames").set(sum(entry.session.frames_waiting for entry in entries))
        metrics.waiting.labels("pictures").set(sum(entry.session.images_waiting for entry in entries))

    async def drain(self) -> None:
        """As of all sessions; followers get the finals too."""
        await super().drain()
        self.followers.close()


def _log_end(session: LiveSession) -> None:
    usage, why = session.usage(), session.failed.code if session.failed is not None else None
    ended = logger.bind(event="session_end", session_id=session.id, signs=session.signs, reason=why)
    ended.bind(**usage.model_dump()).info(
        "live session {} ended{} after {:.1f} s: {} frames received, {} used, {} dropped; {} signs in {} sentences",
        session.id,
        f" ({why})" if why is not None else "",
        usage.seconds,
        usage.received,
        usage.used,
        usage.dropped,
        session.signs,
        usage.segments,
    )


def _ready(session: LiveSession) -> Ready:
    start, recogniser = session.start, session.recogniser
    return Ready(
        session_id=session.id,
        resume_token=session.token,
        config=Config(**start.model_dump(exclude={"type", "resume", "follow"}) | {"own_voice": session.own_voice}),
        model=RecogniserInfo(
            id=recogniser.model_id,
            glosses=len(recogniser.whole.vocabulary),
            sign_language=recogniser.sign_language,
            fps=recogniser.fps,
        ),
        vocabulary=VocabularyInUse.of(recogniser),
        history_id=str(session.record.id) if session.record is not None else None,
        limits=Limits(
            idle_s=IDLE_S,
            session_s=MAX_SESSION_S,
            resume_s=RESUME_S,
            landmark_frames_per_message=MAX_LANDMARK_FRAMES,
        ),
    )

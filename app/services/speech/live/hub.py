"""All live speech sessions of this process."""

from __future__ import annotations

import asyncio

from loguru import logger

from app.core import errors
from app.core.limits import ConcurrencyLimit
from app.core.principal import ANONYMOUS, Principal
from app.core.settings import Settings
from app.monitoring.metrics import Metrics
from app.services.billing import limits as plan_limits
from app.services.billing.credits import Credits
from app.services.billing.live_charge import LiveCharge, hold
from app.services.conversation.address_limits import AddressLimits
from app.services.conversation.events import Event
from app.services.conversation.sessions import Entry, LiveSessions, Times
from app.services.conversation.spoken import Voices, speaker_for
from app.services.conversation.translation import PatientTranslator
from app.services.speech.live.commands import SpeechStart
from app.services.speech.live.events import SpeechConfig, SpeechEngines, SpeechReady
from app.services.speech.live.reader import SpeechReader
from app.services.speech.live.session import FINISH_S, SignsOf, SpeechSession
from app.services.speech.service import SpeechService

#: Seconds: within which a client may resume; without a message; of a session.
RESUME_S, IDLE_S, MAX_SESSION_S = 30.0, 60.0, 4 * 3600.0


class SpeechHub(LiveSessions[Entry[SpeechSession]]):
    """The Sessions of conversations (see there). Not thread-safe; needs a running event loop."""

    def __init__(
        self,
        settings: Settings,
        service: SpeechService,
        translator: PatientTranslator,
        metrics: Metrics,
        credits: Credits,
        voices: Voices,
        sign: SignsOf | None = None,
    ) -> None:
        """sign: glosses of English text, for sessions that ask for them."""
        streams = ConcurrencyLimit(settings.max_speech_sessions, "live speech sessions", retry_after_s=10)
        limits = AddressLimits(
            at_once=settings.max_clients_per_address or max(1, settings.max_speech_sessions * 3 // 4),
            burst=settings.connects_per_address or 60 + 2 * settings.max_speech_sessions,
            loopback_exempt=settings.max_clients_per_address is None,
        )
        super().__init__(streams, limits, "speech-sweeper")
        self._voices = voices
        self._service, self._translator, self._metrics, self._credits = service, translator, metrics, credits
        self._reader, self._sign = SpeechReader(service), sign
        credits.drop_lost.append(self.drop_lost)

    async def close(self) -> None:
        await super().close()
        await self._reader.close()

    @property
    def times(self) -> Times:
        return Times(RESUME_S, IDLE_S, MAX_SESSION_S, FINISH_S)

    def _check_room(self) -> None:
        self._check_open()
        if self.streams.full:
            raise errors.Full(f"{self.streams.in_use} live speech sessions are open, the limit of this service.")

    async def open(self, start: SpeechStart | None = None, principal: Principal = ANONYMOUS) -> SpeechSession:
        """A new session of this principal; None: with the defaults. Raises Draining, Full, SpeechUnavailable,
        InsufficientCredits, PlanLimit, DatabaseUnavailable."""
        self._check_room()
        start = start or SpeechStart()
        await self._service.ready_to_listen()
        translates = await asyncio.to_thread(self._translator.available)
        if translates and len(start.targets) > 1:
            await asyncio.gather(self._translator.warm("en", "es"), self._translator.warm("es", "en"))
        speaker, no_own_voice = None, None
        if start.voice is not None:
            speaker, no_own_voice = await speaker_for(self._voices, principal, start.own_voice)
        check = plan_limits.speaking([], voice=start.voice is not None)
        reservation = await hold(self._credits, principal, check)
        plan, left_out = reservation.plan, tuple[str, ...]()
        try:
            self._check_room()  # others may have come meanwhile
            if plan is not None:
                targets, left_out = plan_limits.languages(plan, start.targets)
                start = start.model_copy(update={"targets": targets})
        except errors.ServiceError:
            await self._credits.release(reservation)
            raise
        known = self._translator if translates else None
        session = SpeechSession(start, self._reader, self._service, known, principal, speaker=speaker, sign=self._sign)
        if plan is not None:
            session.charge = LiveCharge(self._credits, reservation, plan, session)
        self._entries[session.id] = Entry(session)
        self.streams.in_use += 1
        self._metrics.live_opened.inc()
        session.send_event(self._ready(session))
        for target in left_out:
            session.warn("plan_limit", f"The plan has no captions in '{target}': they are left out.")
        if no_own_voice is not None:
            session.warn("no_own_voice", no_own_voice)
        if not translates and len(start.targets) > 1:
            session.warn("no_translation", "No translator is installed.")
        return session

    def _ready(self, session: SpeechSession) -> SpeechReady:
        engines = self._service.engines
        names = [engine.name if engine is not None else None for engine in (engines.translator, engines.voice)]
        return SpeechReady(
            session_id=session.id,
            resume_token=session.token,
            config=SpeechConfig(
                **session.start.model_dump(exclude={"type", "resume"}) | {"own_voice": session.own_voice}
            ),
            engines=SpeechEngines(
                transcription=engines.transcriber.name if engines.transcriber is not None else "",
                translation=names[0],
                voice=names[1],
            ),
        )

    def _ended(self, entry: Entry[SpeechSession]) -> None:
        usage = entry.session.usage()
        logger.bind(event="session_end", session_id=entry.session.id, **usage.model_dump()).info(
            "live speech {} ended: {:.1f} s of sound, {} sentences", entry.session.id, usage.seconds, usage.segments
        )

    def count_refusal(self, problem: errors.ServiceError) -> None:
        self._metrics.live_refused.labels(problem.code).inc()

    def count_event(self, event: Event) -> None:
        self._metrics.live_events.labels(event.type).inc()

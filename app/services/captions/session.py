"""One client's live captions, whatever its transport: frames in, events out through the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.core.errors import BadTimestamp, InternalError, ServiceError, UnknownSignSet
from app.core.principal import ANONYMOUS, Principal
from app.pipeline.caption import milliseconds
from app.pipeline.keypoints import NUM_POSE
from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.recogniser import Recogniser
from app.pipeline.streaming import CaptionStream
from app.services.billing import limits as plan_limits
from app.services.billing.live_charge import LiveCharge
from app.services.captions.camera import Camera, CameraClient, FoundInImage, WaitingImage
from app.services.captions.captions import Captions
from app.services.captions.clock import StreamClock
from app.services.captions.commands import ChangeVocabulary, Command, Flush, Landmarks, Pause, Picture, Start
from app.services.captions.completed import CompletedCaptions
from app.services.captions.events import (
    Done,
    Final,
    FoundLandmarks,
    Partial,
    Stats,
    Usage,
    VocabularyChanged,
    VocabularyInUse,
)
from app.services.captions.frames import FrameQueue
from app.services.captions.meter import Meter
from app.services.captions.recording import LiveRecord
from app.services.captions.turn import Change, LiveTurn, TurnResult
from app.services.conversation.base_session import BaseSession
from app.services.conversation.events import Error
from app.services.conversation.spoken import Speak, SpokenSentences
from app.services.conversation.translation import PatientTranslator
from app.services.recognition.rewriting import SentenceRewriter
from app.services.recognition.scheduler import Client, Lane
from app.services.recognition.vocabularies import Vocabulary, Wanted, reading_with

#: Landmark frames that may wait for the model: ten seconds. More means that the machine is overloaded.
MAX_WAITING_FRAMES = 250
#: Under load a session's newest frames are read less often, but at least this often (seconds).
MAX_LOOK_S = 1.0
#: After so many seconds without a hand in sight, and with no sentence open, nothing can be read; a look now and then
#: (seconds) is enough then. The next hand is looked at as soon as any other.
RESTED_S, RESTING_LOOK_S = 1.5, 1.0
#: Seconds between two landmark events to a client that draws them, at least.
SHOW_S = 1 / 12
#: Seconds to process what was received before a session ends.
FINISH_S = 10.0


async def _no_sets(vocabulary: Vocabulary, sign_sets: Sequence[str]) -> Wanted:
    if sign_sets:
        raise UnknownSignSet
    return vocabulary


@dataclass(slots=True)
class Counters:
    """Frames of a session."""

    received: int = 0
    used: int = 0
    """Frames passed to the model."""
    dropped: int = 0


class LiveSession(BaseSession):
    """Not thread-safe; use from one event loop. `stream` is used by the model's thread alone."""

    def __init__(
        self,
        start: Start,
        stream: CaptionStream,
        lane: Lane[Client],
        open_camera: Callable[[CameraClient], Camera] | None = None,
        now: Callable[[], float] = time.monotonic,
        on_lag: Callable[[float], object] = lambda seconds: None,
        principal: Principal = ANONYMOUS,
        on_final: Callable[[Final], object] = lambda final: None,
        find: Callable[[Vocabulary, Sequence[str]], Awaitable[Wanted]] = _no_sets,
    ) -> None:
        """start: the settings in use. open_camera: called when the first image arrives. on_lag: called with the
        seconds from the arrival of the newest frame to the captions that have read it. on_final: called with each
        finished sentence. find: what to read with, given a vocabulary and the names of sign sets."""
        super().__init__(principal, now)
        self._find = find
        self.start = start
        self.charge: LiveCharge | None = None
        """What pays for it; None: it is free."""
        self.record: LiveRecord | None = None
        """Where its captions are kept; None: nowhere."""
        self.publish: Callable[[Partial | Final], None] | None = None
        """Shows its captions to who follows them; None: nobody can."""
        self._completed: CompletedCaptions | None = None
        self.own_voice: str | None = None
        """What the voice makes of the person's own; None: not asked for."""
        self._voice: tuple[str, SpokenSentences] | None = None
        self._meter = Meter()
        self.recogniser: Recogniser = stream.recogniser
        """The recogniser of this session, with the vocabulary that it asked for last."""
        self.counters = Counters()
        self._last_frame_at = self.began
        self._stream, self._lane = stream, lane
        self._open_camera = open_camera
        self._camera: Camera | None = None
        self._on_lag, self._on_final = on_lag, on_final
        self._clock = StreamClock(start.fps)
        self._frames = FrameQueue()
        self._captions = Captions(start.interim, stream.recogniser.model_id)
        self._paused = False
        self._abandoned = False  # a flush does not wait for images
        self._flush_asked = False
        self._change: Change | None = None  # another vocabulary, for the next turn
        self._predictions = False  # answer every frame with the current sign
        self._partial_s = stream.config.partial_every / MODEL_FPS
        self._looked_s = 0.0  # stream time of the newest frame the model was given
        self._added_s = -1.0  # stream time of the newest frame that was queued for the model
        self._hand_s = 0.0  # stream time of the newest frame with a hand
        self._shown_at = 0.0  # when landmarks were last due to be sent back
        self._read_until = 0.0  # arrival of the newest frame the model was given
        self._lag_due = False  # the model's next answer covers new frames
        self._lag_ms = 0.0

    @property
    def has_input(self) -> bool:
        return self.counters.received > 0

    @property
    def frames_waiting(self) -> int:
        """Landmark frames that wait for the model."""
        return self._frames.count

    @property
    def images_waiting(self) -> int:
        """Images that wait for their landmarks."""
        return self._camera.waiting if self._camera is not None else 0

    # -- for the conversation and the hub -----------------------------------------------------------------------------

    async def handle(self, command: Command) -> None:
        """Handle a command about captions. Raises ServiceError if it cannot be done; the session continues."""
        match command:
            case ChangeVocabulary():
                await self.change_vocabulary(command.vocabulary, command.sign_sets)
            case Picture() | Landmarks():
                self.take(command)
            case Flush():
                self.flush()
            case Pause():
                self.pause(command.paused)

    async def change_vocabulary(self, wanted: Vocabulary, sign_sets: Sequence[str] = ()) -> None:
        """Read with another vocabulary and these sign sets from the next sentence on. Raises UnknownVocabulary,
        UnknownSignSet, PlanLimit; nothing changes then."""
        if self.charge is not None:
            plan_limits.check_vocabulary(self.charge.plan, wanted)
        self.recogniser = await reading_with(self.recogniser, await self._find(wanted, sign_sets))
        self.start = self.start.model_copy(update={"vocabulary": self.recogniser.reads, "sign_sets": tuple(sign_sets)})
        self._change = self.recogniser, self._clock.last_s
        self.send_event(VocabularyChanged(vocabulary=VocabularyInUse.of(self.recogniser)))
        self._lane.wants_turn(self)

    def complete_with(self, translator: PatientTranslator | None, rewriter: SentenceRewriter | None) -> None:
        """Send captions in Spanish too, and finals rewritten; None: not."""
        self._completed = CompletedCaptions(translator, rewriter, self._send_caption, self.warn)

    def speak_with(self, speak: Speak, language: str) -> None:
        """Read its finals aloud."""
        self._voice = language, SpokenSentences(speak, self.outbox, self.send_event, self.warn)

    @property
    def translates(self) -> bool:
        return self._completed is not None and self._completed.translates

    @property
    def used_s(self) -> float:
        """Seconds of captions so far, as they are charged."""
        return self._meter.seconds

    @property
    def frameless_s(self) -> float:
        """Seconds since the last frame, or since the session began."""
        return self._now() - self._last_frame_at

    def pause(self, paused: bool = True) -> None:
        """End the sentence and drop frames until `pause(False)`."""
        self._paused = paused
        self.flush()

    def resume(self) -> None:
        """The client is back on another connection: accept its frames again."""
        self._abandoned = False
        super().resume()

    def answer_every_frame(self) -> None:
        """Send a `prediction` for each frame."""
        self._predictions = True

    async def finish(self) -> None:
        """Process what was received, make it final, send `done`."""
        await self.flushed(FINISH_S)
        self.finished = True
        self.send_event(Done(usage=self.usage()), last=True)

    async def close(self) -> None:
        """Release its resources."""
        self._taking, self.finished = False, True
        self._lane.forget(self)
        if self._completed is not None:
            await self._completed.close()
        if self._voice is not None:
            await self._voice[1].close()
        if self._camera is not None:
            await self._camera.close()

    # -- in -----------------------------------------------------------------------------------------------------------

    def take(self, command: Picture | Landmarks) -> None:
        """Frames from the client. Raises BadTimestamp when they cannot be used; the session continues."""
        count = len(command.points) if isinstance(command, Landmarks) else 1
        self.counters.received += count
        self._last_frame_at = self._now()
        if self._paused or not self._taking or (self.charge is not None and self.used_s >= self.charge.payable_s):
            self.counters.dropped += count
            return
        arrived = self._now()
        try:
            if isinstance(command, Picture) and command.time_us is None:
                times, gap = [self._clock.arrival(arrived)], False
            else:
                times, gap = self._clock.times(count, command.time_us)
        except BadTimestamp:
            self.counters.dropped += count
            raise
        self._meter.add(times, arrived)
        if gap:
            self.flush()
            self.warn("gap", "The capture times jumped; the sentence was ended there.")
        if isinstance(command, Picture):
            self._take_image(WaitingImage(command.data, times[0], arrived))
        else:
            self._add_landmarks(command.points, times, arrived)
            self._predict()

    def _take_image(self, image: WaitingImage) -> None:
        if self._camera is None:
            assert self._open_camera is not None, "this session was opened without a camera"
            self._camera = self._open_camera(self)
        for _ in range(self._camera.put(image)):
            self.counters.dropped += 1
            self._predict()

    def _add_landmarks(
        self,
        points: NDArray[np.floating],
        times: list[float],
        arrived: float,
        rgb: NDArray[np.float32] | None = None,
    ) -> None:
        """Landmarks (n, 75, 3) that are ready for the model, captured at `times` (seconds of the stream); rgb (n, D):
        what the recogniser's RGB encoder made of their images, if it has one and there were any."""
        self._frames.add(points, times, arrived, rgb)
        self._added_s = times[-1]
        if points[:, NUM_POSE:].any():
            self._hand_s = times[-1]
        while self._frames.count > MAX_WAITING_FRAMES:
            self.counters.dropped += self._frames.drop_oldest()
        if self._due:
            self._lane.wants_turn(self)

    def _predict(self) -> None:
        """A frame has been processed: send the current sign, if every frame is answered."""
        if self._predictions:
            self.send_event(self._captions.prediction())

    # -- the camera's side --------------------------------------------------------------------------------------------

    def on_landmarks(self, found: FoundInImage) -> None:
        image = found.image
        if image.time_s <= self._added_s:
            overtaken = "Landmarks of a later time came while the image was still being read; it was not used."
            self.on_bad_image(BadTimestamp(f"{overtaken} Send either images or landmarks in one session."))
            return
        if self.start.aspect is None and self.counters.used == 0 and not self._frames.count:
            self._stream.set_aspect(found.width / found.height)  # the first image sets the aspect ratio
        self._add_landmarks(found.points[None], [image.time_s], image.arrived, found.rgb)
        self._show_landmarks(found.points, image.time_s)
        self._predict()

    def on_bad_image(self, problem: ServiceError) -> None:
        self.counters.dropped += 1
        self.send_event(Error(code=problem.code, message=problem.detail, fatal=False))
        self._predict()

    def on_images_read(self) -> None:
        """All queued images have their landmarks: run a flush that waited for them."""
        if self._flush_asked:
            self._lane.wants_turn(self)

    def _show_landmarks(self, points: NDArray[np.float32], time_s: float) -> None:
        """Send back the landmarks (75, 3) of an image, if the client asked for them."""
        now = self._now()
        if not self.start.landmarks or now < self._shown_at + SHOW_S:
            return
        # In steps of SHOW_S: if images arrive a little faster, every second one would otherwise be skipped.
        self._shown_at = max(self._shown_at + SHOW_S, now - SHOW_S)
        rounded = np.round(points.astype(np.float64), 3).tolist()
        self.send_event(FoundLandmarks(points=rounded, at_ms=milliseconds(time_s)))

    # -- the end of a sentence ----------------------------------------------------------------------------------------

    def flush(self) -> None:
        """End the sentence after the frames received so far."""
        self._flush_asked = True
        self._at_rest.clear()
        self._lane.wants_turn(self)

    def flush_if_quiet(self) -> None:
        """End the sentence if nothing arrived for longer than a pause."""
        quiet_s = self._now() - max(self._frames.arrived, self._read_until)
        is_open = self._captions.open or self._frames.count > 0
        if is_open and quiet_s > self._stream.config.endpoint_s + 0.5 and not self._flush_asked:
            self.flush()

    async def flushed(self, timeout_s: float) -> None:
        """Accept no more frames and end the sentence; returns when everything received has been read and sent.

        Images that have no landmarks after half of `timeout_s` are dropped, so that the sentence before them still
        becomes final; after all of it the session ends as it is.
        """
        self._taking = False
        self.flush()
        for last_resort in (self._abandon_images, lambda: None):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s / 2):
                    await self._at_rest.wait()
                    if self._completed is not None:
                        await self._completed.sent()
                    if self._voice is not None:
                        await self._voice[1].spoken()
                return
            last_resort()

    def _abandon_images(self) -> None:
        """A flush stops waiting for images: those that have no landmarks yet are dropped."""
        self._abandoned = True
        if self._camera is not None:
            self.counters.dropped += self._camera.clear()
        self._lane.wants_turn(self)

    # -- the scheduler's side -----------------------------------------------------------------------------------------

    @property
    def _due(self) -> bool:
        """Whether enough frames arrived for another reading."""
        if not self._frames.count:
            return False
        # Reading more often than the machine can answer would only increase the delay.
        rest_s = max(self._partial_s, min(2 * self._lane.delay_s, MAX_LOOK_S))
        if self._added_s > self._hand_s + RESTED_S and not self._captions.open:
            rest_s = max(rest_s, RESTING_LOOK_S)
        return self._frames.last_s >= min(self._looked_s + rest_s, self._captions.pause_s)

    def take_work(self) -> LiveTurn | None:
        waits_for_images = self._camera is not None and self._camera.busy and not self._abandoned
        flush = self._flush_asked and not waits_for_images
        change, self._change = self._change, None
        if not flush and not self._due and change is None:
            return None
        points, times, rgb = self._frames.take()
        if times:
            self._read_until, self._looked_s = self._frames.arrived, times[-1]
            self._lag_due = True
        self.counters.used += len(times)
        if flush:
            self._flush_asked = False
        return LiveTurn(self._stream, points, times, flush, rgb, change)

    def on_result(self, outcome: TurnResult) -> None:
        """The result of the turn, or the error that ended it."""
        if isinstance(outcome, Exception):
            logger.opt(exception=outcome).error("a live session failed")
            self.fail(InternalError("The session failed."))
            return
        self._lag_ms = max(0.0, (self._now() - self._read_until) * 1000)
        if self._lag_due:
            self._on_lag(self._lag_ms / 1000)
        self._lag_due = False
        for update in outcome:
            event = self._captions.event(update, self._lag_ms)
            if isinstance(event, Final):
                self._on_final(event)
            if event is not None and self._completed is not None:
                self._completed.put(event)
            elif event is not None:
                self._send_caption(event)
        if not self._flush_asked:
            self._at_rest.set()
        if self._due or self._flush_asked:
            self._lane.wants_turn(self)

    def _send_caption(self, event: Partial | Final) -> None:
        self.send_event(event)
        if self.record is not None:
            self.record.add(event)
        if self.publish is not None:
            self.publish(event)
        if self._voice is not None and isinstance(event, Final):
            language, spoken = self._voice
            content = event.text.en if language == "en" else event.text.es
            if content:
                spoken.put(event.segment, content, language)

    # -- numbers ------------------------------------------------------------------------------------------------------

    def stats(self) -> Stats:
        seconds = max(self._now() - self.began, 1e-3)
        fps = round(self.counters.received / seconds, 2)
        credits = self.charge.credits_remaining if self.charge is not None else None
        numbers = asdict(self.counters)
        return Stats(**numbers, lag_ms=round(self._lag_ms, 1), fps=fps, credits_remaining=credits)

    @property
    def signs(self) -> int:
        """Signs in the finished sentences."""
        return self._captions.signs

    def usage(self) -> Usage:
        seconds = round(self._now() - self.began, 2)
        return Usage(seconds=seconds, **asdict(self.counters), segments=self._captions.segments)

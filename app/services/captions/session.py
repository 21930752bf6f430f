"""One client's live captions, whatever its door: frames in by the protocol, events out through the outbox."""

from __future__ import annotations

import asyncio
import contextlib
import math
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from loguru import logger
from numpy.typing import NDArray

from app.pipeline.caption import Caption
from app.pipeline.keypoints import NUM_KEYPOINTS
from app.pipeline.module1_preprocessing.resample import MODEL_FPS
from app.pipeline.recogniser import GlossSegment, Recogniser
from app.pipeline.streaming import CaptionStream, EndReason, StreamUpdate
from app.services.captions.clock import StreamClock
from app.services.captions.commands import Close, Landmarks, LiveError, Picture, Start
from app.services.captions.turn import LiveTurn, Outcome
from app.services.conversation.outbox import Event, Outbox, SlowReader
from app.services.recognition.scheduler import Client, Lane

#: Landmark frames that may wait for the model: ten seconds. More means that the machine is too slow for its clients.
MAX_WAITING_FRAMES = 250
#: Pictures that may wait for their landmarks: enough for a hiccup, and on a slow machine that much behind.
MAX_WAITING_PICTURES = 4

#: Under load a session's newest frames are looked at less often, but at least this often.
MAX_LOOK_S = 1.0
#: Below this confidence a prediction for a frame is "none".
PREDICTION_THRESHOLD = 0.50
#: Landmarks of pictures go back to a client that draws them no oftener than this: twelve times a second.
SHOW_S = 1 / 12

TOO_SLOW = LiveError("slow_reader", "The client does not read its captions fast enough.", Close.POLICY)

Now = Callable[[], float]


@dataclass(slots=True)
class Counters:
    received: int = 0
    used: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class WaitingPicture:
    """A picture that waits for its landmarks: seconds in the stream, and when it came (monotonic)."""

    data: bytes
    time_s: float
    arrived: float


@dataclass(slots=True)
class _Frames:
    """Landmark frames on their way to the model, oldest first, as they came: (n, 75, 3), their n times and, where they
    have pictures that the recogniser reads, what it made of them (n, D)."""

    batches: deque[tuple[NDArray[np.floating], list[float], NDArray[np.float32] | None]] = field(default_factory=deque)
    count: int = 0
    arrived: float = 0.0  # of the newest

    def __len__(self) -> int:
        return self.count

    @property
    def last_s(self) -> float:
        return self.batches[-1][1][-1]

    def add(
        self, points: NDArray[np.floating], times: list[float], arrived: float, rgb: NDArray[np.float32] | None
    ) -> None:
        self.batches.append((points, times, rgb))
        self.count += len(times)
        self.arrived = arrived

    def drop_oldest(self) -> int:
        """How many frames that were."""
        dropped = len(self.batches.popleft()[1])
        self.count -= dropped
        return dropped

    def take(self) -> tuple[NDArray[np.float32], list[float], NDArray[np.float32] | None]:
        """All of them, float32; rgb None where none has pictures, else rows of NaN for those without."""
        if not self.batches:
            return np.zeros((0, NUM_KEYPOINTS, 3), np.float32), [], None
        points = np.concatenate([points for points, _, _ in self.batches]).astype(np.float32, copy=False)
        times = [time_s for _, times, _ in self.batches for time_s in times]
        width = next((seen.shape[1] for _, _, seen in self.batches if seen is not None), None)
        rgb = None
        if width is not None:
            rgb = np.concatenate(
                [np.full((len(t), width), np.nan, np.float32) if r is None else r for _, t, r in self.batches]
            )
        self.batches.clear()
        self.count = 0
        return points, times, rgb


class LiveSession:
    """For one event loop. `start` are the settings in effect; `stream` is touched by the engine's thread alone."""

    def __init__(
        self,
        start: Start,
        stream: CaptionStream,
        engine: Lane[Client],
        now: Now = time.monotonic,
        on_lag: Callable[[float], None] | None = None,
    ) -> None:
        """on_lag: told the seconds from the arrival of the newest frame to the captions that have read it."""
        self.id = secrets.token_hex(8)
        self.token = secrets.token_urlsafe(24)
        self.start = start
        self.outbox = Outbox()
        self.counters = Counters()
        self.paused = False
        self.predictions = False  # answer every frame with the sign that is being made
        self.finished = False
        self.failed: LiveError | None = None
        self.last_heard = self.last_frame = self.began = now()
        self.pictures: deque[WaitingPicture] = deque()
        self.looking = False  # a picture is on its way to landmarks
        self._stream, self._engine, self._now = stream, engine, now
        self._on_lag = on_lag
        self._clock = StreamClock(start.fps)
        self._frames = _Frames()
        self._at_rest = asyncio.Event()
        self._flush_asked = False
        self._partial_s = stream.config.partial_every / MODEL_FPS
        self._pause_s = math.inf  # capture time of the frame with which the sentence will end unless another sign comes
        self._looked_s = 0.0  # stream time of the newest frame the model was given
        self._shown_at = 0.0  # when landmarks were last due to be sent back
        self._read_until = 0.0  # arrival of the newest frame the model was given
        self._lag_due = False  # the model's next answer is about frames that it had not seen before
        self._segment = 0
        self._revision = 0
        self._shown: tuple[Any, ...] = ()
        self._lag_ms = 0.0
        self._sign: GlossSegment | None = None  # the latest of the running sentence

    @property
    def recogniser(self) -> Recogniser:
        """The one that reads this session, to its end."""
        return self._stream.recogniser

    # -- in -----------------------------------------------------------------------------------------------------------

    def take(self, command: Picture | Landmarks) -> None:
        """Frames from the client. Raises LiveError when they cannot be used; the session goes on."""
        count = len(command.points) if isinstance(command, Landmarks) else 1
        self.counters.received += count
        self.last_frame = self._now()
        if self.paused or self.finished:
            self.counters.dropped += count
            return
        arrived = self._now()
        try:
            if isinstance(command, Picture) and command.time_us is None:
                times, gap = [self._clock.arrival(arrived)], False
            else:
                times, gap = self._clock.times(count, command.time_us)
        except LiveError:
            self.counters.dropped += count
            raise
        if gap:
            self.flush()
            self.tell("warning", code="gap", message="The capture times jumped; the sentence was ended there.")
        if isinstance(command, Picture):
            self.pictures.append(WaitingPicture(command.data, times[0], arrived))
            while len(self.pictures) > MAX_WAITING_PICTURES:
                self.pictures.popleft()
                self.counters.dropped += 1
                self.predict()
        else:
            self.add_landmarks(command.points, times, arrived)
            self.predict()

    def add_landmarks(
        self,
        points: NDArray[np.floating],
        times: list[float],
        arrived: float,
        rgb: NDArray[np.float32] | None = None,
    ) -> None:
        """Landmarks (n, 75, 3) that are ready for the model, captured at `times` (seconds of the stream); rgb (n, D):
        what the recogniser's RGB encoder made of their pictures, if it has one and there were any."""
        self._frames.add(points, times, arrived, rgb)
        while len(self._frames) > MAX_WAITING_FRAMES:
            self.counters.dropped += self._frames.drop_oldest()
        if self._due:
            self._engine.wants_turn(self)

    def predict(self) -> None:
        """A frame has been dealt with: say which sign is being made, to who wants an answer for every frame."""
        if not self.predictions:
            return
        sure = self._sign is not None and self._sign.confidence >= PREDICTION_THRESHOLD
        label = self._sign.gloss if self._sign is not None and sure else "none"
        score = round(self._sign.confidence, 4) if self._sign is not None else 0.0
        try:
            self.tell("prediction", label=label, score=score)
        except SlowReader:
            self.failed = TOO_SLOW

    def saw_picture(self, width: int, height: int) -> None:
        """The size of a picture, before its landmarks are added: the first one tells the shape of all."""
        if self.start.aspect is None and self.counters.used == 0 and not self._frames:
            self._stream.set_aspect(width / height)

    def show_landmarks(self, points: NDArray[np.float32], time_s: float) -> None:
        """Send back the landmarks (75, 3) of a picture, if the client asked for them."""
        now = self._now()
        if not self.start.landmarks or now < self._shown_at + SHOW_S:
            return
        # Steps of SHOW_S where pictures come a little faster than that, else every second one would be left out.
        self._shown_at = max(self._shown_at + SHOW_S, now - SHOW_S)
        rounded = np.round(points.astype(np.float64), 3).tolist()
        self.outbox.put_landmarks({"type": "landmarks", "points": rounded, "at_ms": _ms(time_s)})

    @property
    def _due(self) -> bool:
        """Enough has come since the last look for another one."""
        if not self._frames.count:
            return False
        # A machine that is behind gets further behind by looking oftener than it can answer.
        rest_s = max(self._partial_s, min(2 * self._engine.delay_s, MAX_LOOK_S))
        return self._frames.last_s >= min(self._looked_s + rest_s, self._pause_s)

    def flush_if_quiet(self) -> None:
        """When nothing has come for longer than a pause, the sentence is over."""
        quiet_s = self._now() - max(self._frames.arrived, self._read_until)
        if (self._shown or self._frames) and quiet_s > self._stream.config.endpoint_s + 0.5 and not self._flush_asked:
            self.flush()

    def flush(self) -> None:
        """End the sentence behind the frames that are there."""
        self._flush_asked = True
        self._at_rest.clear()
        self._engine.wants_turn(self)

    def pictures_read(self) -> None:
        """All waiting pictures have their landmarks: a flush that waited for them may run."""
        if self._flush_asked:
            self._engine.wants_turn(self)

    @property
    def frames_waiting(self) -> int:
        return len(self._frames)

    @property
    def idle_s(self) -> float:
        return self._now() - self.last_heard

    async def flushed(self, timeout_s: float) -> None:
        """End the sentence; returns when all that came has been read and said, or after `timeout_s`."""
        self.flush()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._at_rest.wait()

    # -- the engine's side --------------------------------------------------------------------------------------------

    def take_work(self) -> LiveTurn | None:
        flush = self._flush_asked and not (self.pictures or self.looking)
        if not flush and not self._due:
            return None
        points, times, rgb = self._frames.take()
        if times:
            self._read_until, self._looked_s = self._frames.arrived, times[-1]
            self._lag_due = True
        self.counters.used += len(times)
        if flush:
            self._flush_asked = False
        return LiveTurn(self._stream, points, times, flush, rgb)

    def deliver(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            logger.opt(exception=outcome).error("a live session failed")
            self.failed = LiveError("internal_error", "The session failed and cannot go on.", Close.INTERNAL)
            self._at_rest.set()
            return
        self._lag_ms = max(0.0, (self._now() - self._read_until) * 1000)
        if self._lag_due and self._on_lag is not None:
            self._on_lag(self._lag_ms / 1000)
        self._lag_due = False
        try:
            for update in outcome:
                self._say(update)
        except SlowReader:
            self.failed = TOO_SLOW
            self._at_rest.set()
            return
        if not self._flush_asked:
            self._at_rest.set()
        if self._due or self._flush_asked:
            self._engine.wants_turn(self)

    # -- out ----------------------------------------------------------------------------------------------------------

    def tell(self, kind: str, **content: Any) -> None:
        """Queue a control event. Raises SlowReader."""
        self.outbox.put({"type": kind, **content})

    def complain(self, problem: LiveError) -> None:
        """Queue an error that names the fault; one that ends the session is remembered."""
        if problem.close is not None:
            self.failed = problem
            return
        self.tell("error", code=problem.code, message=problem.message, fatal=False)

    def stats(self) -> Event:
        counters = self.counters
        seconds = max(self._now() - self.began, 1e-3)
        return {
            "type": "stats",
            "received": counters.received,
            "used": counters.used,
            "dropped": counters.dropped,
            "lag_ms": round(self._lag_ms, 1),
            "fps": round(counters.received / seconds, 2),
            "credits_remaining": None,
        }

    def usage(self) -> dict[str, Any]:
        return {
            "seconds": round(self._now() - self.began, 2),
            "received": self.counters.received,
            "used": self.counters.used,
            "dropped": self.counters.dropped,
            "segments": self._segment,
        }

    def _say(self, update: StreamUpdate) -> None:
        # A frame stands for the time up to the next one.
        self._pause_s = math.inf
        if update.pause_s is not None and update.ended is None:
            self._pause_s = update.pause_s - 1 / MODEL_FPS - 1e-6
        self._sign = update.segments[-1] if update.segments and update.ended is None else None
        if update.ended is None:
            shown = tuple((s.gloss, s.start_s) for s in update.segments), len(update.final)
            if shown == self._shown or (not update.segments and not self._shown):
                return
            self._shown = shown
            self._revision += 1
            if self.start.interim:
                self.outbox.put_partial({"type": "partial", "revision": self._revision, **self._content(update)})
            return
        if update.segments:
            event = {"type": "final", "revision": self._revision + 1, **self._content(update)}
            self.outbox.put({**event, "reason": _REASONS[update.ended]})
            self._segment += 1
        elif self._shown and self.start.interim:  # what was shown has been taken back
            self.outbox.put_partial({"type": "partial", "revision": self._revision + 1, **self._content(update)})
        self._revision, self._shown = 0, ()

    def _content(self, update: StreamUpdate) -> Event:
        caption = Caption.of_update(update, self.recogniser.model_id)
        return {"segment": self._segment, **caption.as_event(), "lag_ms": round(self._lag_ms, 1)}


_REASONS = {EndReason.PAUSE: "endpoint", EndReason.TOO_LONG: "too_long", EndReason.FLUSH: "flush"}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

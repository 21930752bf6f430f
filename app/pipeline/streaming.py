"""A recogniser fed frame by frame: partial glosses at once, final ones when no later frame can change them.

The stream itself never runs the network. It says which window has to be read next (`next_job`) and takes the answer
(`apply`), so that the windows of many streams can share one call.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, NUM_KEYPOINTS
from app.pipeline.module1_preprocessing.movement import MOVEMENT_DIM, hand_movement
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES, Normaliser, push_together
from app.pipeline.module1_preprocessing.resample import MODEL_FPS, interpolate, nearest
from app.pipeline.module3_sequence.lattice import GlobalLattice
from app.pipeline.module3_sequence.sign_times import REACH, Evidence
from app.pipeline.module3_sequence.steps import BLANK, TIME_DIVISOR
from app.pipeline.module3_sequence.stretches import KnownEvidence
from app.pipeline.module3_sequence.vocabularies import ALL
from app.pipeline.module4_language import to_english
from app.pipeline.recogniser import STEP_S, GlossSegment, Recogniser, WindowOutput
from app.pipeline.stages import DECODING, FEATURES, LANGUAGE, OnStage, no_op_observer
from app.pipeline.step_cache import FrameRange, StepCache

#: A new sentence looks back over this many frames of the one before: a sign may begin while the pause still runs.
CONTEXT = 16
#: Without signing, rows older than this many steps are dropped.
IDLE_STEPS = 32
#: Rows before a sentence that are kept: its first sign may begin there, though it is read in the sentence.
BEFORE_STEPS = REACH // TIME_DIVISOR + 1
#: A step with at least this blank probability belongs to no sign.
SURELY_BLANK = 0.9


@dataclass(frozen=True)
class StreamConfig:
    """How a stream is cut into windows and sentences. Raises ValueError for values that do not fit together."""

    window: int = 128
    """Frames of a window, a multiple of 4."""
    stride: int = 56
    """Frames between the starts of windows, a multiple of 4, 8 <= stride <= window."""
    partial_every: int = 8
    """Frames between partials."""
    endpoint_s: float = 1.2
    """A sentence ends after this many seconds without a sign."""
    max_sentence_s: float = 60.0
    """A sentence ends after this many seconds at the latest."""

    def __post_init__(self) -> None:
        if self.stride < 8 or self.stride > self.window or self.stride % TIME_DIVISOR or self.window % TIME_DIVISOR:
            raise ValueError(
                f"window {self.window} and stride {self.stride} must be multiples of {TIME_DIVISOR} "
                f"with 8 <= stride <= window"
            )
        if self.partial_every < 1 or not self.endpoint_s > 0 or not self.max_sentence_s > 0:
            raise ValueError("partial_every must be at least 1 frame, endpoint_s and max_sentence_s above 0")


class EndReason(Enum):
    """Why a sentence ended."""

    PAUSE = "pause"
    TOO_LONG = "too_long"
    FLUSH = "flush"


@dataclass(frozen=True, slots=True)
class StreamUpdate:
    """What changed. Times in seconds since the first frame."""

    final: tuple[GlossSegment, ...]
    """Final signs of the running sentence."""
    partial: tuple[GlossSegment, ...]
    """Signs after them that may still change."""
    sentence: str
    """English of both."""
    until_s: float
    """Time up to which frames have been read."""
    ended: EndReason | None = None
    """Set when the sentence is complete; the next update then belongs to another."""
    rgb: float = 0.0
    """Mean weight of the images in this sentence, 0..1; the pose has the rest."""
    pause_s: float | None = None
    """When the sentence will end unless another sign comes; None while it has no sign."""
    vocabulary: str = ALL
    """Name of the vocabulary it was read with."""

    @property
    def segments(self) -> tuple[GlossSegment, ...]:
        return (*self.final, *self.partial)


@dataclass(frozen=True, slots=True)
class WindowJob:
    """A window that the network has to read."""

    start: int
    """Absolute number of its first frame."""
    features: NDArray[np.float32]
    """(T, frame_dim)."""
    full: bool
    """Whether it has all frames of a window, so that its rows enter the lattice; otherwise it is a preview."""

    @property
    def end(self) -> int:
        return self.start + len(self.features)


@dataclass
class FrameGrid:
    """Incoming frames -> the model's frame grid, by capture time, the same as `resample` gives for the whole clip, and
    `nearest_frames` for what the RGB encoder made of their images."""

    start_s: float | None = None
    emitted: int = 0
    last: tuple[float, NDArray[np.float32], NDArray[np.float32]] | None = None

    def push(
        self, points: NDArray[np.float32], times: Sequence[float], rgb: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Frames (k, 75, 3) at `times` with their rgb (k, D), k >= 1 -> the grid frames (n, 75, 3), (n, D) that are now
        known; n may be 0.

        Raises ValueError when time does not grow; none of the frames is taken then.
        """
        before = list(times) if self.last is None else [self.last[0], *times]
        for earlier, later in itertools.pairwise(before):
            if not later > earlier:
                raise ValueError(f"frame at {later:.3f} s after one at {earlier:.3f} s: capture times must grow")
        known, seen = points, rgb
        if self.last is not None:
            known = np.concatenate([self.last[1][None], points])
            seen = np.concatenate([self.last[2][None], rgb])
        if self.start_s is None:
            self.start_s = before[0]
        self.last = (before[-1], points[-1], rgb[-1])
        end = int(np.floor((before[-1] - self.start_s) * MODEL_FPS + 1e-6)) + 1
        grid = self.start_s + np.arange(self.emitted, end) / MODEL_FPS
        self.emitted = max(self.emitted, end)
        if len(grid) == 0:
            return np.zeros((0, NUM_KEYPOINTS, 3), np.float32), seen[:0]
        positions = np.interp(grid, before, np.arange(len(before), dtype=np.float64))
        return interpolate(known, positions), seen[nearest(positions)]


class _FrameBuffer:
    """The latest feature rows, by absolute frame number; what lies before `start` is forgotten."""

    def __init__(self, width: int) -> None:
        self._rows = np.empty((128, width), np.float32)
        self._count = 0
        self.start = 0

    @property
    def end(self) -> int:
        return self.start + self._count

    def append(self, rows: NDArray[np.float32]) -> None:
        needed = self._count + len(rows)
        if needed > len(self._rows):
            grown = np.empty((max(needed, 2 * len(self._rows)), self._rows.shape[1]), np.float32)
            grown[: self._count] = self._rows[: self._count]
            self._rows = grown
        self._rows[self._count : needed, : rows.shape[1]] = rows
        self._rows[self._count : needed, rows.shape[1] :] = np.nan  # frames without images
        self._count = needed

    def get(self, first: int, end: int) -> NDArray[np.float32]:
        return self._rows[first - self.start : end - self.start].copy()

    def forget_before(self, frame: int) -> None:
        gone = min(max(0, frame - self.start), self._count)
        rest = self._rows[gone : self._count].copy()
        if len(self._rows) > 256 and len(rest) <= 128:
            self._rows = np.empty((128, self._rows.shape[1]), np.float32)
        self._rows[: len(rest)] = rest
        self._count, self.start = len(rest), self.start + gone


def _frames_until(time_s: float) -> int:
    return math.ceil(time_s * MODEL_FPS - 1e-6)


class CaptionStream:
    """One signer's stream. Not thread safe.

    Windows of `window` frames every `stride` frames fall on one global lattice; steps no later window can touch are
    fed once to the decoder, the rest is decoded from a copy of it and comes out as partial. When a sentence ends, what
    is pending becomes final as it stands, and the lattice continues after it. on_stage: called once per call of a
    method with the seconds each stage took in it.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        config: StreamConfig | None = None,
        aspect: float = DEFAULT_ASPECT,
        on_stage: OnStage = no_op_observer,
    ) -> None:
        self.recogniser, self.config = recogniser, config or StreamConfig()
        self.on_stage = on_stage
        self._grid, self.normaliser, self._buffer = FrameGrid(), Normaliser(aspect), _FrameBuffer(recogniser.frame_dim)
        self._lattice = GlobalLattice(self.config.window, self.config.stride)
        self._steps = StepCache(recogniser.step_dim)
        self._decoder = recogniser.new_decoder()
        self._next: Recogniser | None = None
        self._movement, self._last_movement = _FrameBuffer(MOVEMENT_DIM), None  # as long as signs may get times of it
        self._free_from = 0  # first frame that no sign of an earlier sentence takes
        self._final: tuple[GlossSegment, ...] = ()  # of the running sentence
        self._before = self._rows = self._no_rows()
        self.signing = False
        """Whether the running sentence has a sign so far."""
        self._next_window = 0  # first frame of the next full window
        self._last_sentence: tuple[tuple[str, ...], str] = ((), "")
        self._read_until = 0  # frames that the latest job had seen
        self._next_preview = self.config.partial_every  # frames that must be there for the next partial
        self._begin_sentence(0)

    def _no_rows(self) -> NDArray[np.float32]:
        return np.zeros((0, 1 + len(self.recogniser.vocabulary)), np.float32)

    def _begin_sentence(self, step: int) -> None:
        self._first_step, self._final = step, ()
        self._before = np.concatenate([self._before, self._rows])[-BEFORE_STEPS:]  # rows up to _first_step
        self._rows = self._no_rows()  # final rows from _first_step on
        self._movement.forget_before((step - BEFORE_STEPS) * TIME_DIVISOR)
        self._rgb_sum, self._rgb_steps = 0.0, 0  # gates of the images in the windows taken for this sentence
        self._decoder.reset(step)
        self._known = KnownEvidence()
        self.signing = False

    def read_next_with(self, recogniser: Recogniser) -> None:
        """Read with another vocabulary of the same network from the next sentence on."""
        if recogniser.whole is not self.recogniser.whole:
            raise ValueError("a stream stays with its network; another vocabulary of that one can take over")
        self._next = recogniser

    def set_aspect(self, aspect: float) -> None:
        """Width / height of the images, where it becomes known late. Raises ValueError once there are frames."""
        if self._grid.start_s is not None:
            raise ValueError("frames have been read in another aspect ratio")
        self.normaliser = Normaliser(aspect)

    @property
    def frames(self) -> int:
        """Frames on the model's grid so far."""
        return self._buffer.end

    def add(self, points: NDArray[np.float32], times: Sequence[float], rgb: NDArray[np.float32] | None = None) -> None:
        """Frames, float32 (k, 75, 3) captured at `times` seconds, k >= 1. Raises ValueError when time does not grow.

        rgb: float32 (k, D), what the recogniser's RGB encoder made of the frames' images, rows of NaN for frames
        without any; None where no frame has any.
        """
        (problem,) = add_together([NewFrames(self, points, times, rgb)])
        if problem is not None:
            raise problem

    def on_grid(self, new: NewFrames) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """New frames of this stream -> those of the model's grid that are now known (n, 75, 3), with what was made of
        their images (n, frame_dim - NUM_FEATURES). Raises ValueError when time does not grow."""
        rgb = new.rgb
        if rgb is None:
            rgb = np.full((len(new.points), self.recogniser.frame_dim - NUM_FEATURES), np.nan, np.float32)
        return self._grid.push(new.points, new.times, rgb)

    def add_features(self, features: NDArray[np.float32]) -> None:
        """Frames that are on the model's grid and normalised already, rows as `Recogniser.features` makes them."""
        self._buffer.append(features)
        if len(movement := hand_movement(features, self._last_movement)):
            self._movement.append(movement)
            self._last_movement = movement[-1]

    def next_job(self, partial: bool = True) -> WindowJob | None:
        """The window to read next, if any: full ones first, in order; with `partial`, then a preview of what is new."""
        end = self._next_window + self.config.window
        if self.frames >= end:
            return WindowJob(self._next_window, self._buffer.get(self._next_window, end), True)
        if partial and self.frames >= self._next_preview:
            return self.last_job()
        return None

    def last_job(self) -> WindowJob | None:
        """A preview of all frames that no full window has covered; None when there are none."""
        if self.frames <= self._covered():
            return None
        return WindowJob(self._next_window, self._buffer.get(self._next_window, self.frames), False)

    def apply(self, job: WindowJob, output: WindowOutput) -> StreamUpdate:
        """Take the network's output for `job`, the latest one returned, and report what it changes."""
        began = time.perf_counter()
        self._read_until = max(self._read_until, job.end)
        if job.full:
            self._take(job, output)
            self._feed(self._lattice.take_final())
        pending = self._lattice.pending() if job.full else self._provisional(job, output)
        update = self._update(pending, job.end, self._rgb(None if job.full else output), began)
        self._next_preview = self._read_until + self.config.partial_every
        if update.pause_s is not None and (pause := _frames_until(update.pause_s)) > self._read_until:
            self._next_preview = min(self._next_preview, pause)  # so that the end of a sentence is not found out late
        self._forget_idle(update, pending)
        reason = self._end_reason(update, job.end)
        if reason is None:
            return update
        return self.end_sentence(None if job.full else job, None if job.full else output, reason)

    def end_sentence(
        self, job: WindowJob | None, output: WindowOutput | None, reason: EndReason = EndReason.FLUSH
    ) -> StreamUpdate:
        """Make everything read so far final, with the output for the `last_job` unless that was None."""
        began = time.perf_counter()
        end = self._covered()
        if job is not None and output is not None:
            self._take(job, output)
            end = job.end
            self._read_until = max(self._read_until, end)
        self._next_preview = self._read_until + self.config.partial_every
        if len(self._lattice):
            self._feed(self._lattice.flush())
            start = self._next_window - self.config.stride  # where the last window was: the next may not be before
            context = end // TIME_DIVISOR * TIME_DIVISOR - CONTEXT
            self._next_window = max(start, context)
        readings = self.recogniser.last_readings(self._decoder, self._rows, self._first_step, self._known)
        peaks = self.recogniser.joined(readings)
        segments = self._timed(peaks, self._rows, end)
        if segments:
            self._free_from = round(segments[-1].end_s * MODEL_FPS)
        self.on_stage(DECODING, time.perf_counter() - began)
        vocabulary, step = self.recogniser.reads, self._decoder.steps
        done = StreamUpdate(
            segments, (), self._english(segments), end / MODEL_FPS, reason, self._rgb(), vocabulary=vocabulary
        )
        if self._next is not None:
            self.recogniser, self._next = self._next, None
            self._decoder = self.recogniser.new_decoder()
            self._lattice.relabel()
            self._before = self._rows = self._no_rows()
        self._begin_sentence(step)
        self._buffer.forget_before(self._next_window)
        return done

    def ranges(self, job: WindowJob) -> list[FrameRange]:
        """Frames of `job` that the first half of the network has to see; the rest is known."""
        return self._steps.ranges(job.start, job.end)

    def steps(
        self, job: WindowJob, ranges: Sequence[FrameRange], rows: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """What the second half has to see: (S, step_dim), given what the first made of `ranges`."""
        return self._steps.window(job.start, job.end, ranges, rows)

    def finish(self) -> StreamUpdate:
        """Read what is left, for a stream by itself, and end the sentence. It may continue with a new one."""
        while job := self.next_job(partial=False):
            self.apply(job, run_jobs(self.recogniser, [(self, job)])[0])
        job = self.last_job()
        return self.end_sentence(job, run_jobs(self.recogniser, [(self, job)])[0] if job else None)

    def _covered(self) -> int:
        """First frame that no window in the lattice has seen."""
        return (self._lattice.next_step + len(self._lattice)) * TIME_DIVISOR

    def _take(self, job: WindowJob, output: WindowOutput) -> None:
        self._lattice.add(job.start // TIME_DIVISOR, output.log_probs)
        self._rgb_sum += float(output.rgb.sum())
        self._rgb_steps += len(output.rgb)
        self._next_window = job.start + self.config.stride
        # A sentence that ends here begins the next one CONTEXT frames before its end.
        self._buffer.forget_before(min(self._next_window, job.end - CONTEXT - TIME_DIVISOR) if job.full else job.start)

    def _feed(self, rows: NDArray[np.float32]) -> None:
        if len(rows):
            self._decoder.feed(rows)
            self._rows = np.concatenate([self._rows, rows])

    def _timed(self, peaks: Sequence[GlossSegment], table: NDArray[np.float32], end: int) -> tuple[GlossSegment, ...]:
        """The signs of the sentence with the times at which they are signed, of what is known up to frame `end`.

        table: its rows.
        """
        # The times of final signs are known, but for the end of the last one, which a repetition may move.
        known = self._final[:-1] if len(peaks) >= len(self._final) else ()
        peaks = peaks[len(known) :]
        if not peaks:
            return known
        end = min(end, self._movement.end)  # up to three frames less than the steps cover
        if known:
            skipped = round(peaks[0].start_s / STEP_S) - self._first_step
            rows, step = table[skipped:], self._first_step + skipped
        else:
            rows, step = np.concatenate([self._before, table]), self._first_step - len(self._before)
        first = max(self._movement.start, step * TIME_DIVISOR - 1)
        evidence = Evidence(rows, self._movement.get(first, end), step, first)
        timed = self.recogniser.timed(peaks, evidence, self._free_from)
        if self._final and len(peaks) + len(known) >= len(self._final):
            timed = (replace(timed[0], start_s=self._final[-1].start_s), *timed[1:])
        return (*known, *timed)

    def _rgb(self, provisional: WindowOutput | None = None) -> float:
        total, steps = self._rgb_sum, self._rgb_steps
        if provisional is not None:
            total, steps = total + float(provisional.rgb.sum()), steps + len(provisional.rgb)
        return total / steps if steps else 0.0

    def _provisional(self, job: WindowJob, output: WindowOutput) -> NDArray[np.float32]:
        """Pending rows as if this were the last window: what a pause now would make final."""
        lattice = self._lattice.copy()
        lattice.add(job.start // TIME_DIVISOR, output.log_probs)
        return lattice.flush()

    def _update(self, pending: NDArray[np.float32], end: int, rgb: float, began: float) -> StreamUpdate:
        decoder = self._decoder
        if len(pending):
            decoder = decoder.copy()
            decoder.feed(pending)
        table = np.concatenate([self._rows, pending]) if len(pending) else self._rows
        committed = len(self._decoder.committed())
        readings, settled = self.recogniser.live_readings(
            decoder.best().tokens, committed, table, len(self._rows), self._first_step, self._known
        )
        peaks = self.recogniser.joined(readings)
        # A sign ends when another follows.
        whole = self.recogniser.joined(readings[: min(settled, max(committed - 1, 0))])
        if whole and whole[-1].end_s < peaks[len(whole) - 1].end_s:
            whole = whole[:-1]  # the next one repeats it
        segments = self._timed(peaks, table, end)
        self._final = final = segments[: max(len(self._final), len(whole))]
        pause_s = max(s.end_s for s in segments) + self.config.endpoint_s if segments else None
        self.signing = bool(segments)
        self.on_stage(DECODING, time.perf_counter() - began)
        return StreamUpdate(
            final,
            segments[len(final) :],
            self._english(segments),
            end / MODEL_FPS,
            rgb=rgb,
            pause_s=pause_s,
            vocabulary=self.recogniser.reads,
        )

    def _end_reason(self, update: StreamUpdate, end: int) -> EndReason | None:
        if update.pause_s is None:
            return None
        if end >= _frames_until(update.pause_s):
            return EndReason.PAUSE
        if end / MODEL_FPS - self._first_step * STEP_S >= self.config.max_sentence_s:
            return EndReason.TOO_LONG
        return None

    def _forget_idle(self, update: StreamUpdate, pending: NDArray[np.float32]) -> None:
        """Without signing nothing is kept: the sentence starts after the rows that are certainly blank."""
        if update.segments or len(self._rows) < IDLE_STEPS:
            return
        latest = np.concatenate([self._rows[-4:], pending[:1]])
        if (latest[:, BLANK] >= np.log(SURELY_BLANK)).all():
            self._begin_sentence(self._decoder.steps)

    def _english(self, segments: Sequence[GlossSegment]) -> str:
        glosses = tuple(s.gloss for s in segments)
        if glosses != self._last_sentence[0]:  # most updates change nothing
            began = time.perf_counter()
            self._last_sentence = glosses, to_english(glosses, self.recogniser.sign_language)
            self.on_stage(LANGUAGE, time.perf_counter() - began)
        return self._last_sentence[1]


@dataclass(frozen=True, slots=True)
class NewFrames:
    """Frames for a stream, see `CaptionStream.add`."""

    stream: CaptionStream
    points: NDArray[np.float32]
    times: Sequence[float]
    rgb: NDArray[np.float32] | None


def add_together(new: Sequence[NewFrames]) -> list[ValueError | None]:
    """`CaptionStream.add` for several streams, each given once, for little more than the price of one. Returns what it
    would have raised for each."""
    began = time.perf_counter()
    problems: list[ValueError | None] = []
    taken: list[tuple[CaptionStream, NDArray[np.float32], NDArray[np.float32]]] = []
    for own in new:
        try:
            taken.append((own.stream, *own.stream.on_grid(own)))
        except ValueError as problem:
            problems.append(problem)
        else:
            problems.append(None)
    if not taken:
        return problems
    rows = push_together([(stream.normaliser, points) for stream, points, _ in taken])
    for (stream, _, rgb), landmarks in zip(taken, rows, strict=True):
        stream.add_features(np.concatenate([landmarks, rgb], axis=1))
    for stream, _, _ in taken:
        stream.on_stage(FEATURES, (time.perf_counter() - began) / len(taken))
    return problems


class WindowSource(Protocol):
    """What has windows for the network: a stream, or a clip."""

    def ranges(self, job: WindowJob) -> list[FrameRange]: ...

    def steps(
        self, job: WindowJob, ranges: Sequence[FrameRange], rows: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]: ...


def run_jobs(recogniser: Recogniser, jobs: Sequence[tuple[WindowSource, WindowJob]]) -> list[WindowOutput]:
    """Windows of several sources in one pass of the network; frames that it has encoded before cost nothing."""
    ranges = [source.ranges(job) for source, job in jobs]
    parts = [
        job.features[part.first - job.start : part.end - job.start]
        for (_, job), own in zip(jobs, ranges, strict=True)
        for part in own
    ]
    rows = iter(recogniser.steps(parts))
    steps = [source.steps(job, own, [next(rows) for _ in own]) for (source, job), own in zip(jobs, ranges, strict=True)]
    return recogniser.decode_steps(steps, [job.features for _, job in jobs])

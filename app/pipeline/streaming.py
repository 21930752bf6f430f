"""A recogniser fed frame by frame: partial glosses at once, final ones when no later frame can change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import DEFAULT_ASPECT, NUM_KEYPOINTS
from app.pipeline.module1_preprocessing.normalise import NUM_FEATURES, Normaliser
from app.pipeline.module1_preprocessing.resample import MODEL_FPS, interpolate
from app.pipeline.module3_sequence.lattice import GlobalLattice
from app.pipeline.module3_sequence.temporal import TIME_DIVISOR
from app.pipeline.module4_language import to_english
from app.pipeline.recogniser import STEP_S, GlossSegment, Recogniser


@dataclass(frozen=True)
class StreamConfig:
    """window, stride: frames, multiples of 4, 8 <= stride <= window. partial_every: frames between partials.
    endpoint_s: a sentence ends after that many seconds without a sign."""

    window: int = 64
    stride: int = 32
    partial_every: int = 8
    endpoint_s: float = 1.2

    def __post_init__(self) -> None:
        if self.stride < 8 or self.stride > self.window or self.stride % TIME_DIVISOR or self.window % TIME_DIVISOR:
            raise ValueError(
                f"window {self.window} and stride {self.stride} must be multiples of {TIME_DIVISOR} "
                f"with 8 <= stride <= window"
            )
        if self.partial_every < 1 or not self.endpoint_s > 0:
            raise ValueError("partial_every must be at least 1 frame and endpoint_s above 0")


@dataclass(frozen=True, slots=True)
class StreamUpdate:
    """What changed with one push. final: signs of the running sentence that stay; partial: those that may still change;
    sentence: English of both; ended: the sentence is complete and the next push begins another."""

    final: tuple[GlossSegment, ...]
    partial: tuple[GlossSegment, ...]
    sentence: str
    ended: bool = False

    @property
    def gloss(self) -> list[str]:
        return [s.gloss for s in (*self.final, *self.partial)]


@dataclass
class FrameGrid:
    """Incoming frames -> the model's frame grid, by capture time, the same as `resample` gives for the whole clip."""

    start_s: float | None = None
    emitted: int = 0
    last: tuple[float, NDArray[np.float32]] | None = None

    def push(self, points: NDArray[np.float32], time_s: float) -> NDArray[np.float32]:
        """One frame (75, 3) at `time_s` -> the grid frames (n, 75, 3) that are now known; n may be 0.

        Raises ValueError when time does not grow.
        """
        if self.last is None or self.start_s is None:
            self.start_s, self.last, self.emitted = time_s, (time_s, points), 1
            return points[None]
        before, old = self.last
        if not time_s > before:
            raise ValueError(f"frame at {time_s:.3f} s after one at {before:.3f} s: capture times must grow")
        self.last = (time_s, points)
        end = int(np.floor((time_s - self.start_s) * MODEL_FPS + 1e-6)) + 1
        grid = self.start_s + np.arange(self.emitted, end) / MODEL_FPS
        self.emitted = max(self.emitted, end)
        if len(grid) == 0:
            return np.zeros((0, NUM_KEYPOINTS, 3), np.float32)
        return interpolate(np.stack([old, points]), np.clip((grid - before) / (time_s - before), 0, 1))


@dataclass
class _Sentence:
    tokens_done: int = 0
    final: list[GlossSegment] = field(default_factory=list)


class CaptionStream:
    """One signer's stream. Not thread safe; the network pass inside `push` is the only heavy part.

    Windows of `window` frames every `stride` frames fall on one global lattice; steps no later window can touch are
    fed once to the decoder, the rest is decoded from a copy of it and comes out as partial.
    """

    def __init__(
        self, recogniser: Recogniser, config: StreamConfig | None = None, aspect: float = DEFAULT_ASPECT
    ) -> None:
        self.recogniser, self.config = recogniser, config or StreamConfig()
        self.grid, self.normaliser = FrameGrid(), Normaliser(aspect)
        self.features = np.zeros((0, NUM_FEATURES), np.float32)
        self.features_start = 0  # absolute frame of features[0]
        self._new_sentence(0)
        self.partial_frame = 0

    def _new_sentence(self, frame: int) -> None:
        self.lattice = GlobalLattice(self.config.window, self.config.stride)
        self.sentence_start = frame  # absolute frame where the sentence's lattice begins
        self.next_window = frame
        self.decoder = self.recogniser.new_decoder()
        self.rows = np.zeros((0, 1 + len(self.recogniser.vocabulary)), np.float32)  # final rows of the sentence
        self.partial_frame = frame

    @property
    def frames(self) -> int:
        """Frames on the model's grid so far."""
        return self.features_start + len(self.features)

    def push(self, points: NDArray[np.float32], time_s: float) -> StreamUpdate | None:
        """One frame, float32 (75, 3) captured at `time_s` seconds; None when nothing new can be said yet.

        Raises ValueError when time does not grow.
        """
        new = self.normaliser.push(self.grid.push(points, time_s))
        self.features = np.concatenate([self.features, new])
        update = None
        while self.frames >= self.next_window + self.config.window:
            self._run_window()
            update = self._update(self._pending())
        if update is None and self.frames >= self.partial_frame + self.config.partial_every:
            update = self._update(self._provisional())
        if update is not None:
            self.partial_frame = self.frames
            if update.gloss and self._silence_s(update) >= self.config.endpoint_s:
                return self.finish()
        return update

    def finish(self) -> StreamUpdate:
        """End the sentence: everything pending becomes final. The stream may go on with a new sentence."""
        rest = self._frames_from(self.next_window)
        if len(rest) and self.frames > self._covered():
            self.lattice.add((self.next_window - self.sentence_start) // TIME_DIVISOR, self._network(rest))
        if len(self.lattice):
            self._feed(self.lattice.flush())
        segments = self._segments(self.decoder.best().tokens, self.rows)
        self._new_sentence(self.frames)
        self._forget(self.frames)
        return StreamUpdate(segments, (), self._english(segments), ended=True)

    def _covered(self) -> int:
        """First frame that no full window has seen."""
        first = self.next_window == self.sentence_start
        return self.sentence_start if first else self.next_window - self.config.stride + self.config.window

    def _run_window(self) -> None:
        window = self._frames_from(self.next_window)[: self.config.window]
        self.lattice.add((self.next_window - self.sentence_start) // TIME_DIVISOR, self._network(window))
        self.next_window += self.config.stride
        self._feed(self.lattice.take_final())
        self._forget(self.next_window)

    def _feed(self, rows: NDArray[np.float32]) -> None:
        if len(rows):
            self.decoder.feed(rows)
            self.rows = np.concatenate([self.rows, rows])

    def _pending(self) -> NDArray[np.float32]:
        return self.lattice.pending()

    def _provisional(self) -> NDArray[np.float32]:
        """Rows not final yet, the newest frames included by a window that ends now and is thrown away."""
        rest = self._frames_from(self.next_window)
        if len(rest) == 0 or self.frames <= self._covered():
            return self.lattice.pending()
        fresh = self._network(rest)
        known = self.lattice.pending()
        # The rest starts where the pending rows start: the fresh look has more context, so it replaces them.
        return fresh if len(fresh) >= len(known) else np.concatenate([fresh, known[len(fresh) :]])

    def _network(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.recogniser.log_probs([window])[0][0]

    def _frames_from(self, frame: int) -> NDArray[np.float32]:
        return self.features[max(0, frame - self.features_start) :]

    def _forget(self, frame: int) -> None:
        self.features = self.features[max(0, frame - self.features_start) :].copy()
        self.features_start = max(self.features_start, frame)

    def _update(self, pending: NDArray[np.float32]) -> StreamUpdate:
        decoder = self.decoder
        if len(pending):
            decoder = decoder.copy()
            decoder.feed(pending)
        tokens = decoder.best().tokens
        settled = len(self.decoder.committed())
        table = np.concatenate([self.rows, pending]) if len(pending) else self.rows
        segments = self._segments(tokens, table)
        final = self._segments(tokens[:settled], table)
        return StreamUpdate(final, segments[len(final) :], self._english(segments))

    def _segments(self, tokens: Sequence, table: NDArray[np.float32]) -> tuple[GlossSegment, ...]:
        offset = self.sentence_start / MODEL_FPS
        return tuple(
            GlossSegment(s.gloss, s.start_s + offset, s.end_s + offset, s.confidence)
            for s in self.recogniser.segments(tokens, table)
        )

    def _silence_s(self, update: StreamUpdate) -> float:
        end = max(s.end_s for s in (*update.final, *update.partial))
        return self.frames / MODEL_FPS - max(end, self.sentence_start / MODEL_FPS + STEP_S)

    def _english(self, segments: Sequence[GlossSegment]) -> str:
        return to_english([s.gloss for s in segments], self.recogniser.sign_language)

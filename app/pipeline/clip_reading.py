"""A clip read window by window: it says which windows the network has to read, and combines their outputs.

Like `CaptionStream` it never runs the network, so that windows of many clips and streams can share one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.movement import hand_movement
from app.pipeline.module3_sequence.taught import NoHands
from app.pipeline.recogniser import ClipLattice, Recogniser, Recognition, WindowOutput, window_starts
from app.pipeline.stages import FEATURES, Stopwatch
from app.pipeline.step_cache import FrameRange
from app.pipeline.streaming import WindowJob


class ClipReading:
    """One clip on its way through `recogniser`. Not thread-safe."""

    def __init__(self, recogniser: Recogniser, clip: Keypoints) -> None:
        self.recogniser, self._clip, self._watch = recogniser, clip, Stopwatch()
        decoder = recogniser.config.decoder
        with self._watch.stage(FEATURES):
            features = recogniser.features(clip)
            self._movement = hand_movement(features)
        self._waiting = deque(
            WindowJob(start, features[start : start + decoder.window], True)
            for start in window_starts(len(features), decoder.window, decoder.stride)
        )
        self._lattice = ClipLattice(recogniser.config)

    @property
    def windows_left(self) -> int:
        """Windows that `next_jobs` has not given out."""
        return len(self._waiting)

    def next_jobs(self, limit: int) -> list[WindowJob]:
        """The next windows, in order, at most `limit`; their outputs come back through `apply` in the same order."""
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]

    def ranges(self, job: WindowJob) -> list[FrameRange]:
        """All frames of the window: windows of one clip may be read in one call, before any of them has an output."""
        return [FrameRange(job.start, job.end)]

    def steps(
        self, job: WindowJob, ranges: Sequence[FrameRange], rows: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        return rows[0]

    def apply(self, job: WindowJob, output: WindowOutput) -> None:
        """Take the network's output for `job`."""
        self._lattice.add(job.start, output)

    def recognition(self) -> Recognition:
        """The answer, once every window has been applied."""
        return self.recogniser.recognition(self._clip, *self._lattice.result(), self._watch, self._movement)


class RecordingReading(ClipReading):
    """A recording of one sign that somebody teaches, of which the first window counts. Its recogniser is the whole one,
    whatever it was taught."""

    def __init__(self, recogniser: Recogniser, clip: Keypoints) -> None:
        super().__init__(recogniser.whole, clip)
        self._embedding: NDArray[np.float32] | NoHands | None = None

    def apply(self, job: WindowJob, output: WindowOutput) -> None:
        if self._embedding is None:
            try:
                self._embedding = self.recogniser.embedding(output, job.features)
            except NoHands as problem:
                self._embedding = problem

    @property
    def embedding(self) -> NDArray[np.float32]:
        """(D,) of length one, once it has been read. Raises NoHands."""
        if isinstance(self._embedding, np.ndarray):
            return self._embedding
        raise self._embedding or NoHands("the recording has no frame")

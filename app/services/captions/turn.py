"""One turn of a live session at the model: its new frames, their windows, and the outputs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.pipeline.recogniser import Recogniser, WindowOutput
from app.pipeline.streaming import CaptionStream, NewFrames, StreamUpdate, WindowJob
from app.services.recognition.windows import Window

#: Another vocabulary, and up to which time of the stream frames had come when it was asked for.
Change = tuple[Recogniser, float]
#: Result of a turn: finished sentences, then the running one; or why it failed.
TurnResult = list[StreamUpdate] | Exception


@dataclass(slots=True)
class LiveTurn:
    """A `Turn` (see recognition.windows): everything a stream can read from its new frames."""

    stream: CaptionStream
    points: NDArray[np.float32]
    """New frames (n, 75, 3), n >= 0."""
    times: Sequence[float]
    """Of the frames, in seconds of the stream."""
    flush: bool = False
    """End the sentence after the frames."""
    rgb: NDArray[np.float32] | None = None
    """RGB features of the frames' images, as for `CaptionStream.add`."""
    change: Change | None = None
    """Read with this from the next sentence on; at once where no sign of a sentence has been read."""
    _updates: list[StreamUpdate] = field(default_factory=list)
    _problem: Exception | None = None
    _plan: Iterator[list[Window]] = field(init=False)
    """The windows still to be read, in parts: which ones depends on the outputs of those before."""
    _last: WindowJob | None = None
    """The window that ends a sentence, once it has been given out."""

    def __post_init__(self) -> None:
        self._plan = self._parts()

    @property
    def recogniser(self) -> Recogniser:
        return self.stream.recogniser

    @property
    def outcome(self) -> TurnResult:
        """Of the updates in between only the last is kept, but every end of a sentence."""
        if self._problem is not None:
            return self._problem
        return [update for i, update in enumerate(self._updates) if update.ended or i == len(self._updates) - 1]

    def new_frames(self) -> NewFrames | None:
        if self.change is not None or not len(self.times):  # frames before and after a change are read apart
            return None
        return NewFrames(self.stream, self.points, self.times, self.rgb)

    def next_windows(self) -> list[Window]:
        try:
            return next(self._plan, [])
        except ValueError as problem:
            self.fail(problem)
            return []

    def _parts(self) -> Iterator[list[Window]]:
        if self.change is not None:
            recogniser, until_s = self.change
            before = bisect_right(self.times, until_s)
            self._add(slice(before))
            yield from self._windows(partial=True)
            self.stream.read_next_with(recogniser)
            if not self.stream.signing:
                yield from self._end_sentence()
            self._add(slice(before, None))
        yield from self._windows(partial=not self.flush)
        if self.flush:
            yield from self._end_sentence()

    def _add(self, frames: slice) -> None:
        if len(self.times[frames]):
            self.stream.add(self.points[frames], self.times[frames], None if self.rgb is None else self.rgb[frames])

    def _windows(self, partial: bool) -> Iterator[list[Window]]:
        while job := self.stream.next_job(partial):
            yield [(self.stream, job)]

    def _end_sentence(self) -> Iterator[list[Window]]:
        self._last = self.stream.last_job()
        if self._last is None:
            self._updates.append(self.stream.end_sentence(None, None))
        else:
            yield [(self.stream, self._last)]

    def fail(self, problem: Exception) -> None:
        self._problem, self._plan = problem, iter(())

    def take(self, window: Window, output: WindowOutput) -> None:
        job = window[1]
        try:
            update = self.stream.end_sentence(job, output) if job is self._last else self.stream.apply(job, output)
        except ValueError as problem:
            self.fail(problem)
        else:
            self._updates.append(update)

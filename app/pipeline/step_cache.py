"""The convolutions' output for a stream's frames, each step computed once however many windows read it.

A step of the convolutions sees only the frames around it, so it is the same in every window that holds those frames.
Two steps at the beginning of a window and those at its end see the edge, where frames are repeated: these are computed
again for each window, from the few frames that they see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module3_sequence.steps import TIME_DIVISOR

#: Steps at the beginning of a window that see its edge, and frames that are enough to compute them.
HEAD_STEPS, HEAD_FRAMES = 2, 16
#: Frames behind its own first one that a step sees: two convolutions of five, the second at half the rate.
AHEAD = 10


@dataclass(frozen=True, slots=True)
class FrameRange:
    """Frames [first, end) of the stream, to be put through the convolutions as a window of their own."""

    first: int
    end: int


class StepCache:
    """For one stream. Frames and steps are absolute numbers; a window [start, end) begins on a step."""

    def __init__(self, dim: int) -> None:
        self._rows = np.zeros((0, dim), np.float32)
        self._first = 0  # step of the first row
        self._head: tuple[int, NDArray[np.float32]] | None = None  # first frame of a window, its first steps

    def ranges(self, start: int, end: int) -> list[FrameRange]:
        """What to compute for the window [start, end), end > start: the newest frames and, if needed, its head."""
        inner = start // TIME_DIVISOR + HEAD_STEPS
        first = (self._known - HEAD_STEPS) * TIME_DIVISOR
        if not self._first <= inner <= self._known or first <= start:
            return [FrameRange(start, end)]
        newest = FrameRange(first, end)
        if self._head is not None and self._head[0] == start:
            return [newest]
        return [newest, FrameRange(start, start + HEAD_FRAMES)]

    def window(
        self, start: int, end: int, ranges: Sequence[FrameRange], rows: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """The steps (ceil((end - start) / 4), dim) of the window, given the rows of its `ranges`, which are kept."""
        newest, step = ranges[0], start // TIME_DIVISOR
        if newest.first == start:
            whole = rows[0]
            clean = self._clean(start, end)
            if clean >= HEAD_STEPS:
                self._head = start, whole[:HEAD_STEPS].copy()
                self._rows, self._first = whole[HEAD_STEPS:clean].copy(), step + HEAD_STEPS
            return whole
        if len(ranges) > 1:
            self._head = start, rows[1][:HEAD_STEPS].copy()
        assert self._head is not None
        fresh = rows[0][HEAD_STEPS:]
        inner = self._rows[step + HEAD_STEPS - self._first :]
        whole = np.concatenate([self._head[1], inner, fresh])
        keep = self._clean(newest.first, end) - HEAD_STEPS
        if keep > 0:
            self._rows = np.concatenate([inner, fresh[:keep]])
            self._first = step + HEAD_STEPS
        return whole

    def clear(self) -> None:
        self._rows, self._head = self._rows[:0], None

    @property
    def _known(self) -> int:
        """The first step that is not known."""
        return self._first + len(self._rows)

    @staticmethod
    def _clean(first: int, end: int) -> int:
        """Steps of the range [first, end) that do not see its end."""
        return max(0, (end - first - AHEAD) // TIME_DIVISOR + 1)

"""The global lattice of a stream: overlapping windows become one row of log-probabilities per step, final once.

Every window of the stream starts on a multiple of four frames, so all windows fall on the same steps. Where windows
overlap, their probabilities are averaged with triangular weights: a step counts most for the window that sees it with
context on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from app.pipeline.module3_sequence.decoders import InvalidLattice, checked_log_probs
from app.pipeline.module3_sequence.steps import TIME_DIVISOR


def triangular_weights(steps: int) -> NDArray[np.float64]:
    """(steps,) weights in (0, 1], highest in the middle; two windows half a window apart sum to one on every step."""
    place = np.arange(steps) + 0.5
    return np.minimum(place, steps - place) / (steps / 2)


class GlobalLattice:
    """Collects windows and hands out each step once it is final, i.e. when no later window can touch it.

    window, stride: in frames, both multiples of four, stride <= window. A stream's windows are added in order, each
    starting at least one stride after the one before and leaving no gap. A window may be shorter than `window` (the
    whole of a short clip, or the rest at the end of a stream).

    Rows that one window alone covers are that window's own, bit for bit; so one window decodes exactly as offline.
    Memory: at most one window of rows that are not final, plus final rows not yet taken.
    """

    def __init__(self, window: int, stride: int) -> None:
        for name, frames in (("window", window), ("stride", stride)):
            if frames < TIME_DIVISOR or frames % TIME_DIVISOR:
                raise ValueError(f"{name} must be a positive multiple of {TIME_DIVISOR} frames, got {frames}")
        if stride > window:
            raise ValueError(f"a stride of {stride} frames would leave gaps between windows of {window}")
        self._stride = stride // TIME_DIVISOR
        self._weights = triangular_weights(window // TIME_DIVISOR)
        self._base = 0  # absolute step of the first row kept
        self._final = 0  # rows before this absolute step are final
        self._next_window = 0  # earliest start of the next window
        self._width: int | None = None
        self._clear()

    def _clear(self) -> None:
        width = self._width or 0
        self._rows = np.empty((0, width), np.float32)  # a window's own where it is the only one, else their mean
        self._log_sum = np.empty((0, width))  # log of the weighted sum of probabilities
        self._weight_sum = np.empty(0)

    def __len__(self) -> int:
        """Rows kept: final ones not yet taken, and those not final."""
        return len(self._rows)

    def copy(self) -> GlobalLattice:
        """An independent lattice in the same state."""
        twin = object.__new__(GlobalLattice)
        twin.__dict__.update(self.__dict__)
        twin._rows, twin._log_sum = self._rows.copy(), self._log_sum.copy()
        twin._weight_sum = self._weight_sum.copy()
        return twin

    @property
    def next_step(self) -> int:
        """Absolute step of the first row that `take_final` has not returned yet."""
        return self._base

    def final_until(self) -> int:
        """First absolute step that is not final: later windows can still touch it, or have yet to bring it."""
        return min(self._final, self._base + len(self))

    def add(self, window_start_step: int, log_probs: ArrayLike) -> None:
        """Add one window's (S, V) log-probabilities, 1 <= S <= window / 4; its first row is step `window_start_step`.

        After `flush`, a window may reach back over steps already final; those rows of it are ignored.
        Raises InvalidLattice for rows that are not log-probabilities, ValueError for a window out of order, too long,
        or that leaves a gap.
        """
        rows = checked_log_probs(log_probs, self._width).astype(np.float32)
        if not 1 <= len(rows) <= len(self._weights):
            raise InvalidLattice(f"a window has 1 to {len(self._weights)} steps, got {len(rows)}")
        if window_start_step < self._next_window:
            raise ValueError(
                f"the window at step {window_start_step} comes too late: windows are added in order, one stride of "
                f"{self._stride} steps or more apart, so the next one starts at step {self._next_window} or later"
            )
        end = self._base + len(self)
        if window_start_step > end:
            if len(self):
                raise ValueError(f"a window at step {window_start_step} leaves a gap after step {end}: flush first")
            self._base = end = window_start_step
        if self._width is None:
            self._width = rows.shape[1]
            self._clear()

        skip = max(0, self._final - window_start_step)
        at = window_start_step + skip - self._base
        rows, weights = rows[skip:], self._weights[skip : len(rows)]
        weighted = rows + np.log(weights)[:, None]
        both = min(len(rows), len(self) - at)
        old = slice(at, at + both)
        self._log_sum[old] = np.logaddexp(self._log_sum[old], weighted[:both])
        self._weight_sum[old] += weights[:both]
        self._rows[old] = self._log_sum[old] - np.log(self._weight_sum[old])[:, None]
        self._rows = np.concatenate([self._rows, rows[both:]])
        self._log_sum = np.concatenate([self._log_sum, weighted[both:]])
        self._weight_sum = np.concatenate([self._weight_sum, weights[both:]])

        self._next_window = window_start_step + self._stride
        self._final = max(self._final, self._next_window)

    def take_final(self) -> NDArray[np.float32]:
        """(n, V) float32 rows that became final since the last call, each returned exactly once; n may be 0."""
        count = self.final_until() - self._base
        final, self._rows = self._rows[:count].copy(), self._rows[count:].copy()
        self._log_sum, self._weight_sum = self._log_sum[count:].copy(), self._weight_sum[count:].copy()
        self._base += count
        return final

    def pending(self) -> NDArray[np.float32]:
        """(n, V) float32 rows from `final_until()` on, as they stand; later windows may change them."""
        return self._rows[self.final_until() - self._base :].copy()

    def relabel(self) -> None:
        """Windows over other labels follow. Raises ValueError while there are rows that have not been taken."""
        if len(self):
            raise ValueError("rows of the labels before have not been taken: flush first")
        self._width = None

    def flush(self) -> NDArray[np.float32]:
        """No later window belongs to this part of the stream: make every row final and return those not yet taken.

        The stream may go on afterwards, with or without a gap, from the start of the last window on.
        """
        self._final = self._base + len(self)
        self._next_window = max(0, self._next_window - self._stride)
        return self.take_final()

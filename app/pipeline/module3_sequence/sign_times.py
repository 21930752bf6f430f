"""Where a sign begins and ends: frame by frame between CTC's peak and those of its neighbours, by lattice and hands.

CTC says a sign in one or two steps and nothing about the rest of it. Between the peaks of two neighbours each frame
belongs to the first sign, to the way between them, or to the second, in this order. The log-odds of a sign against the
way are a weighted sum of

* what the lattice says of the sign in this frame, the blank left out,
* how far the hands have come down since the peak,
* how far the frame is on the way from peak to peak, and how long that way is (peaks lie early in signs, or late),

and the two boundaries are those with the greatest sum. The first sign of a clip begins without a neighbour and the last
one ends without one; there the speed of the hands counts in place of the third, since hands that are still are not
signing any more. The weights belong to a checkpoint: they are fitted on composed phrases of its training signers
(`app/training/sign_times.py`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.movement import HEIGHT, SPEED, UNSEEN
from app.pipeline.module3_sequence.decoders import DecodedToken
from app.pipeline.module3_sequence.steps import TIME_DIVISOR

#: Frames from its peak within which a sign begins and ends; peaks that are further apart are no neighbours.
REACH = 75
#: Frames on either side of the middle of its outer peak steps that always belong to a sign: half a step.
_CORE = TIME_DIVISOR // 2
#: A hand that was not seen for more than this many frames is not signing.
_LOST = 8
_NOT_SIGNING = -5.0
#: Farthest that the hands can have come down, in shoulder widths; the log-odds of the lattice lie within this.
_LOWEST, _SUREST = 1.5, math.log(1e4)
#: Labels of a lower log-probability are as good as impossible.
_SILENT = -1e4
#: Frames around the peak whose median height the hands come down from.
_AROUND = 3

#: Evidence on the way between two peaks: 1, lattice, hands down, log share of the way, log share left, log seconds.
BETWEEN = 6
#: Evidence without a neighbour: 1, lattice, hands down, log speed.
OUTSIDE = 4


@dataclass(frozen=True)
class TimeWeights:
    """Weights of the evidence that a frame belongs to a sign; those of asl-large."""

    after: tuple[float, ...] = (1.179, 0.364, -2.035, -0.006, 2.342, 0.618)
    """Behind the peak, before another sign (BETWEEN)."""
    before: tuple[float, ...] = (-1.561, 0.326, -1.32, -0.933, 1.689, -0.288)
    """Before the peak, behind another sign (BETWEEN)."""
    first: tuple[float, ...] = (4.529, 0.284, -4.199, 1.289)
    """Before the peak, without a sign before it (OUTSIDE)."""
    last: tuple[float, ...] = (4.926, 0.243, -5.524, 1.066)
    """Behind the peak, without another sign (OUTSIDE)."""

    def __post_init__(self) -> None:
        for name, size in (("after", BETWEEN), ("before", BETWEEN), ("first", OUTSIDE), ("last", OUTSIDE)):
            weights = getattr(self, name)
            if len(weights) != size or not np.isfinite(weights).all():
                raise ValueError(f"the times of signs need {size} finite numbers as {name!r}, got {weights}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TimeWeights:
        """Raises TypeError, ValueError for anything but the fields."""
        return cls(**{name: tuple(map(float, weights)) for name, weights in values.items()})

    def to_dict(self) -> dict[str, list[float]]:
        return {f.name: list(getattr(self, f.name)) for f in fields(self)}


class Evidence:
    """What is known of a clip or a part of a stream: its lattice and its hands."""

    def __init__(
        self,
        lattice: NDArray[np.floating],
        movement: NDArray[np.float32],
        first_step: int = 0,
        first_frame: int = 0,
    ) -> None:
        """lattice: (S, V) log-probabilities from step `first_step` on, S >= 1; movement: (T, MOVEMENT_DIM) from frame
        `first_frame` on, T >= 1. Both cover the peaks of the signs that are asked for, the
        movement a frame more before the first peak's step, where there is one."""
        self._lattice, self._step = lattice, first_step
        signs = lattice[:, 1:]
        self._peak = np.maximum(signs.max(axis=1), _SILENT)
        self._total = np.exp(signs - self._peak[:, None]).sum(axis=1, dtype=np.float64)
        self._height, self._unseen = movement[:, HEIGHT], movement[:, UNSEEN]
        speed = np.concatenate([movement[:1, SPEED], movement[:, SPEED], movement[-1:, SPEED]]).astype(np.float64)
        self._log_speed = np.log((speed[:-2] + speed[1:-1] + speed[2:]) / 3 + 0.01)
        self.first, self.end = first_frame, first_frame + len(movement)
        """The frames that are known."""

    def between(self, one: DecodedToken, other: DecodedToken) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Evidence for each of two neighbours, (n, BETWEEN) each, in the n frames from peak to peak."""
        first, end = peak_end(one), peak_start(other)
        count = end - first
        share = (np.arange(count) + 0.5) / count
        after, before = np.ones((count, BETWEEN)), np.ones((count, BETWEEN))
        self._of_sign(after, one.label, first, first, end)
        self._of_sign(before, other.label, end, first, end)
        after[:, 3] = before[:, 4] = np.log(share)
        after[:, 4] = before[:, 3] = np.log(1 - share)
        after[:, 5] = before[:, 5] = math.log(count / 25)
        return after, before

    def outside(self, token: DecodedToken, first: int, end: int) -> NDArray[np.float64]:
        """(n, OUTSIDE) evidence in frames [first, end), which begin or end with the token's peak."""
        out = np.ones((end - first, OUTSIDE))
        peak = peak_start(token) if end == peak_start(token) else peak_end(token)
        self._of_sign(out, token.label, peak, first, end)
        out[:, 3] = self._log_speed[self._known(first, end)]
        return out

    def absent(self, first: int, end: int) -> NDArray[np.bool_]:
        """(end - first,): in which frames no hand has been seen for long."""
        return self._unseen[self._known(first, end)] > _LOST

    def seen_until(self, first: int, end: int) -> int:
        """One past the last of the frames [first, end) in which a hand is seen; `first` where there is none."""
        seen = np.flatnonzero(self._unseen[self._known(first, end)] == 0)
        return first + int(seen[-1]) + 1 if len(seen) else first

    def _known(self, first: int, end: int) -> slice | NDArray[np.intp]:
        """Rows of the movement for the frames [first, end); the ends are held."""
        if first >= self.first and end <= self.end:
            return slice(first - self.first, end - self.first)
        return np.clip(np.arange(first, end) - self.first, 0, len(self._height) - 1)

    def _of_sign(self, out: NDArray[np.float64], label: int, peak: int, first: int, end: int) -> None:
        """The frames [first, end) in columns 1 and 2 of `out`: lattice, and how far the hands are down."""
        step = (np.arange(first, end) - (TIME_DIVISOR - 1) / 2) / TIME_DIVISOR - self._step
        place = np.minimum(np.maximum(step, 0), len(self._lattice) - 1)
        rows = slice(int(place[0]), int(place[-1]) + 2)
        own = np.exp(self._lattice[rows, label].astype(np.float64) - self._peak[rows])
        odds = np.log((own + 1e-12) / (np.maximum(self._total[rows] - own, 0) + 1e-12))
        odds = np.minimum(np.maximum(odds, -_SUREST), _SUREST)
        out[:, 1] = np.interp(place - rows.start, np.arange(len(odds)), odds)
        around = np.sort(self._height[self._known(peak - _AROUND, peak + _AROUND + 1)])
        down = around[_AROUND].astype(np.float64) - self._height[self._known(first, end)]
        out[:, 2] = np.minimum(np.maximum(down, 0), _LOWEST)


def peak_start(token: DecodedToken) -> int:
    """Frame in the middle of the first step of a token."""
    return token.start_step * TIME_DIVISOR + _CORE


def peak_end(token: DecodedToken) -> int:
    """Frame in the middle of the last step of a token."""
    return token.end_step * TIME_DIVISOR - _CORE


def neighbours(one: DecodedToken, other: DecodedToken) -> bool:
    """Whether the end of the first and the start of the second are found together."""
    return peak_start(other) - peak_end(one) < REACH


def sign_times(
    tokens: Sequence[DecodedToken], evidence: Evidence, weights: TimeWeights, free_from: int = 0
) -> list[tuple[int, int]]:
    """First frame and one past the last of each sign: in order, without overlap, within the known frames.

    tokens: in order, without overlap; repetitions that make one sign are one token. free_from: the first frame that no
    earlier sign takes. The times between two signs depend on what lies between their peaks, and on nothing else.
    """
    starts: list[int] = []
    ends: list[int] = []
    for one, other in itertools.pairwise([None, *tokens, None]):
        if one is not None and other is not None and neighbours(one, other):
            end, start = _shared(evidence, one, other, weights)
            ends.append(end)
            starts.append(start)
            continue
        if one is not None:
            until = evidence.end if other is None else peak_start(other) - 2 * _CORE
            ends.append(_last_end(evidence, one, until, weights))
        if other is not None:
            free = ends[-1] if one is not None else max(free_from, evidence.first)
            starts.append(_first_start(evidence, other, free, weights))
    return [(start, min(end, evidence.end)) for start, end in zip(starts, ends, strict=True)]


def _shared(evidence: Evidence, one: DecodedToken, other: DecodedToken, weights: TimeWeights) -> tuple[int, int]:
    """Where the first sign ends and where the second begins."""
    first, end = peak_end(one), peak_start(other)
    after, before = evidence.between(one, other)
    absent = evidence.absent(first, end)
    behind = _sums(after @ weights.after, absent)
    behind[:_CORE] = -np.inf
    ahead = _sums((before @ weights.before)[::-1], absent[::-1])[::-1]
    ahead[len(ahead) - _CORE :] = -np.inf
    best = np.maximum.accumulate(behind)
    start = int((best + ahead).argmax())
    return first + int(behind[: start + 1].argmax()), first + start


def _last_end(evidence: Evidence, token: DecodedToken, until: int, weights: TimeWeights) -> int:
    first = peak_end(token)
    end = evidence.seen_until(first, max(min(until, first + REACH), first + _CORE))
    if end - first <= _CORE:
        return first + _CORE
    sums = _sums(evidence.outside(token, first, end) @ weights.last, evidence.absent(first, end))
    return first + _CORE + int(sums[_CORE:].argmax())


def _first_start(evidence: Evidence, token: DecodedToken, free: int, weights: TimeWeights) -> int:
    end = peak_start(token)
    first = min(max(free, end - REACH), end - _CORE)
    if end - first <= _CORE:
        return first
    sums = _sums((evidence.outside(token, first, end) @ weights.first)[::-1], evidence.absent(first, end)[::-1])
    return end - _CORE - int(sums[_CORE:].argmax())


def _sums(scores: NDArray[np.float64], absent: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n + 1,) what the first 0, 1, ..., n frames say together."""
    return np.concatenate([[0.0], np.cumsum(np.where(absent, _NOT_SIGNING, scores))])

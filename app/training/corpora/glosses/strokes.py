"""Where in a clip the sign itself is: without the hands coming up before it and going down after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.training.corpora.glosses.bank import LEFT, RIGHT, Bank
from app.training.strokes import stroke_in

#: A hand seen in less of the stroke takes no part in the sign.
_PART = 0.3


@dataclass(frozen=True)
class Strokes:
    """For each clip of a bank, as frames of the bank."""

    #: int64 (clips, 2): first and one past the last frame with a hand; the whole clip where there is none.
    active: NDArray[np.int64]
    #: int64 (clips, 2): the sign itself, inside `active`.
    stroke: NDArray[np.int64]
    #: bool (clips, 2): does the left, the right hand take part?
    takes_part: NDArray[np.bool_]


def find_strokes(bank: Bank) -> Strokes:
    """By the height of the higher hand: the stroke lies between the rise from rest and the fall to it."""
    heights = np.where(bank.there[:, 1:], -bank.points[:, [LEFT.start, RIGHT.start], 1].astype(np.float32), -np.inf)
    height = heights.max(axis=1)
    active = np.zeros((len(bank.clips), 2), np.int64)
    stroke = np.zeros_like(active)
    part = np.zeros((len(bank.clips), 2), bool)
    for i, clip in enumerate(bank.clips):
        h = height[clip.start : clip.end]
        seen = np.flatnonzero(np.isfinite(h))
        a, b = (int(seen[0]), int(seen[-1]) + 1) if len(seen) > 4 else (0, len(h))
        first, last = stroke_in(h[a:b])
        active[i] = clip.start + a, clip.start + b
        stroke[i] = active[i, 0] + first, active[i, 0] + last
        part[i] = bank.there[stroke[i, 0] : stroke[i, 1], 1:].mean(axis=0) >= _PART
    return Strokes(active, stroke, part)

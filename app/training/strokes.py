"""The sign itself in a clip, by the height of the hands: between their rise from rest and their fall to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: A hand that comes from less than this under where it signs (shoulder widths) does not come from rest.
_RISE = 0.25
#: The stroke begins when the hand has come so far from rest to where it signs.
_SHARE = 0.7


def stroke_in(height: NDArray[np.float32]) -> tuple[int, int]:
    """(T,) height of the higher hand, -inf where none is seen -> the stroke as [first, end) of it."""
    frames = len(height)
    known = np.isfinite(height)
    if frames < 8 or known.sum() < 6:
        return 0, frames
    h = np.interp(np.arange(frames), np.flatnonzero(known), height[known])
    signing = float(np.median(h[frames // 4 : frames - frames // 4]))

    def rise(track: NDArray[np.float64]) -> int:
        rest = float(track[:2].mean())
        if signing - rest < _RISE:
            return 0
        return int(np.argmax(track >= rest + _SHARE * (signing - rest)))

    first, end = rise(h), frames - rise(h[::-1])
    if end - first >= max(5, int(0.35 * frames)):
        return first, end
    spare = frames // 3
    return spare, frames - spare

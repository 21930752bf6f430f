"""How high the hands are and how fast they move, frame by frame, as the times of signs need it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.module1_preprocessing.normalise import HAND_STATIC, LEFT_FEATURES, RIGHT_FEATURES

#: Columns of a movement: height of the higher wrist over the shoulders and speed of the faster one a frame, in shoulder
#: widths; frames since a hand was seen, 0 where one is.
HEIGHT, SPEED, UNSEEN = 0, 1, 2
MOVEMENT_DIM = 3


def hand_movement(features: NDArray[np.float32], before: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Rows (T, >= NUM_FEATURES) as `Normaliser` makes them -> float32 (T, MOVEMENT_DIM).

    before: the row of the frame before the first, where there is one: the result does not depend on how the frames are
    cut into calls. Where no hand is seen the height is that of the last one that was, 0 and UNSEEN infinite before it.
    """
    out = np.zeros((len(features), MOVEMENT_DIM), np.float32)
    if not len(features):
        return out
    height = np.full(len(features), -np.inf, np.float32)
    for hand in (LEFT_FEATURES, RIGHT_FEATURES):
        seen = features[:, hand.start] > 0.5
        height = np.maximum(height, np.where(seen, -features[:, hand.start + 2], -np.inf))
        # The features hold twice the difference to the frame before.
        moved = features[:, hand.start + 1 + HAND_STATIC : hand.start + 3 + HAND_STATIC] / 2
        out[:, SPEED] = np.maximum(out[:, SPEED], np.where(seen, np.hypot(moved[:, 0], moved[:, 1]), 0))
    frame = np.arange(len(features))
    latest = np.maximum.accumulate(np.where(np.isfinite(height), frame, -1))
    known = latest >= 0
    held, ago = (0.0, np.inf) if before is None else (before[HEIGHT], before[UNSEEN])
    out[:, HEIGHT] = np.where(known, height[latest], held)
    out[:, UNSEEN] = np.where(known, frame - latest, ago + frame + 1)
    return out

"""Made-up landmark tracks for tests: smooth, plausible, nobody's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import (
    LEFT_ELBOW,
    LEFT_HAND,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_HAND,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)


def performance(frames: int = 40, seed: int = 0) -> NDArray[np.float32]:
    """A body with two moving hands in picture coordinates (4:3): float32 (frames, 75, 3), everything present."""
    rng = np.random.default_rng(seed)
    points = np.ones((frames, 75, 3), np.float32)
    body = rng.uniform(0.35, 0.65, (33, 2))
    places = {NOSE: (0.5, 0.3), LEFT_SHOULDER: (0.64, 0.55), RIGHT_SHOULDER: (0.36, 0.55)}
    places |= {LEFT_ELBOW: (0.7, 0.8), RIGHT_ELBOW: (0.3, 0.8)}
    for index, place in places.items():
        body[index] = place
    points[:, :33, :2] = body
    t = np.arange(frames)[:, None] / 25
    for where, wrist, side in ((LEFT_HAND, LEFT_WRIST, 1), (RIGHT_HAND, RIGHT_WRIST, -1)):
        phase = rng.uniform(0, 6, 2)
        path = np.array([0.5 + side * 0.15, 0.6]) + 0.1 * np.sin(2 * np.pi * 0.7 * t + phase)
        points[:, wrist, :2] = path
        hand = np.concatenate([np.zeros((1, 2)), rng.normal(0, 0.03, (20, 2))])
        points[:, where, :2] = path[:, None] + hand
    points[:, :33, :2] += rng.normal(0, 0.001, (frames, 33, 2))
    return points

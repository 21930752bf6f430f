"""Elbows for recordings that show only the hands: where the arm of a wrist usually is, within the arm's reach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_ELBOW, RIGHT_ELBOW
from app.signer.making.clips import LOWERED_Y, BodyClip

Float = NDArray[np.float64]

#: Shoulders of the figure, left and right, in shoulder widths from their midpoint.
SHOULDERS = np.array([[0.5, 0.0], [-0.5, 0.0]])
#: Lengths of the upper arm and the forearm in the plane of the picture, at most: in depth they look shorter.
UPPER_ARM, FOREARM = 0.95, 0.9
_MIRROR = np.array([-1.0, 1.0])


def _terms(wrists: Float) -> Float:
    """Quadratic terms of the position of a right wrist: (..., 2) -> (..., 6)."""
    x, y = wrists[..., 0], wrists[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


@dataclass(frozen=True)
class Elbows:
    """Quadratic regression from the wrist to the elbow of the right arm; the left arm is its mirror image."""

    weights: Float
    """(6, 2)"""

    def __call__(self, wrists: Float) -> Float:
        """Elbows of the left and the right arm for their wrists: (T, 2, 2) -> (T, 2, 2)."""
        right = np.stack([wrists[:, 0] * _MIRROR, wrists[:, 1]], axis=1)
        elbows = _terms(right) @ self.weights
        for _ in range(8):  # alternating projections: no bone longer than it is
            elbows = _within(elbows, right, FOREARM)
            elbows = _within(elbows, SHOULDERS[1], UPPER_ARM)
        return np.stack([elbows[:, 0] * _MIRROR, elbows[:, 1]], axis=1)


def learn_elbows(clips: Iterable[BodyClip]) -> Elbows:
    """From recordings with a body that moves. Raises ValueError where none shows an elbow with a raised wrist."""
    wrists, elbows = [], []
    for clip in clips:
        for side, place, flip in ((0, LEFT_ELBOW, _MIRROR), (1, RIGHT_ELBOW, np.ones(2))):
            wrist, elbow = clip.wrists[:, side] * flip, clip.body[:, place] * flip
            usable = (
                np.isfinite(clip.shapes[:, side, 0, 0]) & np.isfinite(elbow).all(axis=1) & (wrist[:, 1] < LOWERED_Y)
            )
            wrists.append(wrist[usable])
            elbows.append(elbow[usable])
    inputs, targets = (np.concatenate(parts) if parts else np.zeros((0, 2)) for parts in (wrists, elbows))
    if len(inputs) < 50:
        raise ValueError("elbows cannot be learned: no recording shows them together with a raised hand")
    weights, *_ = np.linalg.lstsq(_terms(inputs), targets, rcond=None)
    return Elbows(weights)


def _within(points: Float, centre: Float, reach: float) -> Float:
    """Points further than `reach` from the centre, moved to that distance."""
    away = points - centre
    distance = np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-9)
    return np.asarray(centre + away * np.minimum(1.0, reach / distance))

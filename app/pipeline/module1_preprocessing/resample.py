"""Landmarks of any rate -> landmarks on the model's exact frame grid, by timestamp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import LEFT_HAND, NUM_POSE, RIGHT_HAND, Keypoints, hand_present, person_present

MODEL_FPS = 25.0


def interpolate(points: NDArray[np.float32], positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """Read a landmark track at fractional frame positions.

    points: float32 (T, 75, 3), T >= 1. positions: float64 (N,), in frames, clipped to 0..T-1.
    Returns float32 (N, 75, 3). Linear between two frames where the part (body, left hand, right hand) is there in
    both; the nearer frame where it is missing in one, because halfway to "no hand" is not a position.
    """
    pos = np.clip(positions, 0, len(points) - 1)
    low = np.floor(pos).astype(np.int64)
    if (low == pos).all():  # frames that are on the grid already
        return points[low]
    high = np.minimum(low + 1, len(points) - 1)
    weight = (pos - low).astype(np.float32)
    nearest = np.where(weight < 0.5, low, high)

    there = np.concatenate([person_present(points)[:, None], hand_present(points)], axis=1)
    both = there[low] & there[high]
    blend = points[low] + weight[:, None, None] * (points[high] - points[low])
    if both.all():
        return blend
    near = points[nearest]
    for part, where in enumerate((slice(0, NUM_POSE), LEFT_HAND, RIGHT_HAND)):
        odd = ~both[:, part]
        blend[odd, where] = near[odd, where]
    return blend


def resample(clip: Keypoints) -> NDArray[np.float32]:
    """Landmarks at MODEL_FPS from the clip's first to its last capture time: float32 (N, 75, 3).

    The camera's claimed rate plays no part: only capture times do. An empty clip gives an empty array.
    """
    return interpolate(clip.points, _grid_positions(clip.times)) if len(clip) else clip.points


def nearest_frames(times: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each frame that `resample` makes of a clip, the source frame nearest in time: int64 (N,).

    For what cannot be interpolated, such as images. An empty clip gives an empty array.
    """
    return nearest(_grid_positions(times)) if len(times) else np.zeros(0, np.int64)


def _grid_positions(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the frames of the model's grid lie between frames captured at `times`, >= 1: (N,), in frames."""
    count = int(np.floor((times[-1] - times[0]) * MODEL_FPS + 1e-6)) + 1
    grid = times[0] + np.arange(count) / MODEL_FPS
    return np.interp(grid, times, np.arange(len(times), dtype=np.float64))


def nearest(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Fractional frame positions -> the nearest frames, halves always up: the same wherever the counting began."""
    return np.floor(positions + 0.5).astype(np.int64)

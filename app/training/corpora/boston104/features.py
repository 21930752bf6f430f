"""Three tracked points a frame (two wrists and the nose) as features: where the hands are, and how they move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: What a checkpoint of such tracks says it was trained on; none of it can be derived from a camera's landmarks.
TRACKS = "boston104-tracks-3"
TRACK_NORMALISER = "nose-relative-50px/1"
#: Frames a second at which the database was filmed.
TRACK_FPS = 30.0
TRACK_FEATURES = 37
#: Pixels that count as one unit: about the width of a head in the pictures of the corpus.
UNIT = 50.0


def nose_relative(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels (T, 3, 2) of left wrist, right wrist and nose -> (T, 6), in units of `UNIT`.

    Left and right wrist relative to the nose of the same frame; the nose relative to its median, which is how the head
    moves. Raises ValueError for another shape, no frame, or a value that is not a number.
    """
    if points.ndim != 3 or points.shape[1:] != (3, 2) or len(points) == 0:
        raise ValueError(f"tracks have the shape (frames, 3, 2) with at least one frame, not {points.shape}")
    if not np.isfinite(points).all():
        raise ValueError("tracks contain a value that is not a number")
    nose = points[:, 2]
    hands = (points[:, :2] - nose[:, None]).reshape(len(points), 4)
    return (np.concatenate([hands, nose - np.median(nose, axis=0)], axis=1) / UNIT).astype(np.float32)


def track_features(relative: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, 6) of `nose_relative`, T >= 1 -> (T, TRACK_FEATURES) float32.

    Positions as they are, in the video's own scale and from where they start; speeds over 2 and 6 frames and their
    change; both hands against each other; distances; the head. Factors bring all of them to like size.
    """
    hands, head = relative[:, :4], relative[:, 4:6]
    own = (hands - hands.mean(axis=0)) / (hands.std(axis=0) + 0.15)
    speed = difference(hands, 1)
    apart = hands[:, :2] - hands[:, 2:]
    columns = [
        hands,
        own,
        hands - hands[:1],
        4 * speed,
        2 * difference(hands, 3),
        3 * difference(speed, 1),
        apart,
        np.stack([np.hypot(*pair.T) for pair in (hands[:, :2], hands[:, 2:], apart)], axis=1),
        4 * np.stack([np.hypot(*pair.T) for pair in (speed[:, :2], speed[:, 2:])], axis=1),
        3 * head,
        6 * difference(head, 1),
        4 * difference(head, 3),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def difference(x: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """x[t + reach] - x[t - reach] of (T, F), the first and last frame held beyond the ends."""
    held = np.pad(x, ((reach, reach), (0, 0)), mode="edge")
    return held[2 * reach :] - held[: -2 * reach]

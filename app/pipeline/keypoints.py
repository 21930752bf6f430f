"""The 75 body landmarks every part of the recogniser speaks of, and nothing about where they came from.

Order is MediaPipe Holistic's: 33 pose points, 21 points of the signer's left hand, 21 of the right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

NUM_POSE = 33
NUM_HAND = 21
NUM_KEYPOINTS = NUM_POSE + 2 * NUM_HAND
POSE = slice(0, NUM_POSE)
LEFT_HAND = slice(NUM_POSE, NUM_POSE + NUM_HAND)
RIGHT_HAND = slice(NUM_POSE + NUM_HAND, NUM_KEYPOINTS)

NOSE, LEFT_EYE, RIGHT_EYE, LEFT_EAR, RIGHT_EAR, MOUTH_LEFT, MOUTH_RIGHT = 0, 2, 5, 7, 8, 9, 10
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_ELBOW, RIGHT_ELBOW, LEFT_WRIST, RIGHT_WRIST = 11, 12, 13, 14, 15, 16
LEFT_HIP, RIGHT_HIP = 23, 24

_POSE_MIRROR = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9, *(i + 1 if i % 2 else i - 1 for i in range(11, 33))]
#: Index of each keypoint's partner in a mirrored image: pose left <-> right, left hand <-> right hand.
MIRROR = np.array(
    [*_POSE_MIRROR, *range(RIGHT_HAND.start, RIGHT_HAND.stop), *range(LEFT_HAND.start, LEFT_HAND.stop)], dtype=np.int64
)

DEFAULT_ASPECT = 4 / 3


class InvalidKeypoints(ValueError):
    """The landmarks are invalid: wrong shape, NaN, or times that do not increase."""


@dataclass(frozen=True, slots=True)
class Keypoints:
    """Landmarks of one clip."""

    points: NDArray[np.float32]
    """(T, 75, 3). x, y relative to the image: x to the right, y down, 1 = width or height; values outside 0..1 occur.
    Third channel: MediaPipe's visibility 0..1 for the 33 pose points, presence 0 or 1 for the hand points. A missing
    hand has presence 0 and must not be read as a position; a frame without a person has all 75 third channels 0."""
    times: NDArray[np.float64]
    """(T,) capture time of each frame in seconds, strictly increasing."""
    aspect: float = DEFAULT_ASPECT
    """Image width divided by height: x and y have different units."""
    rgb_features: NDArray[np.float32] | None = None
    """(T, D), what the RGB encoder of one recogniser made of each frame's crops, for that recogniser alone; None for
    landmarks without images."""

    def __post_init__(self) -> None:
        if self.points.ndim != 3 or self.points.shape[1:] != (NUM_KEYPOINTS, 3):
            raise InvalidKeypoints(
                f"expected landmarks of shape (frames, {NUM_KEYPOINTS}, 3), got {tuple(self.points.shape)}"
            )
        if self.times.shape != (len(self.points),):
            raise InvalidKeypoints(f"{len(self.points)} frames but {self.times.shape} capture times")
        if not np.isfinite(self.points).all():
            raise InvalidKeypoints("landmarks contain NaN or infinite values")
        if not np.isfinite(self.times).all() or (len(self.times) > 1 and not (np.diff(self.times) > 0).all()):
            raise InvalidKeypoints("capture times must be finite and strictly increasing")
        if self.rgb_features is not None and (
            self.rgb_features.ndim != 2 or len(self.rgb_features) != len(self.points)
        ):
            raise InvalidKeypoints(f"{len(self.points)} frames but RGB features of shape {self.rgb_features.shape}")
        if not (0.1 <= self.aspect <= 10):
            raise InvalidKeypoints(f"image aspect ratio {self.aspect} is outside 0.1..10")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def duration_s(self) -> float:
        """Seconds from the first frame to the end of the last one (0 for an empty clip)."""
        if len(self) == 0:
            return 0.0
        if len(self) == 1:
            return 0.04
        span = float(self.times[-1] - self.times[0])
        return span * len(self) / (len(self) - 1)

    @classmethod
    def at_rate(cls, points: NDArray[np.float32], fps: float, aspect: float = DEFAULT_ASPECT) -> Keypoints:
        """Landmarks of equally spaced frames; `fps` in frames per second, 1..240."""
        if not 1 <= fps <= 240:
            raise InvalidKeypoints(f"a rate of {fps} frames per second is outside 1..240")
        return cls(np.asarray(points, np.float32), np.arange(len(points)) / fps, aspect)


_BLOCK_SHAPES = {"pose": (NUM_POSE, 3), "left": (NUM_HAND, 2), "right": (NUM_HAND, 2)}


def joined_blocks(
    pose: NDArray[np.number], left: NDArray[np.number], right: NDArray[np.number], dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Three blocks as landmark files and corpora store them -> points (T, 75, 3) of `dtype`.

    pose (T, 33, 3): x, y, visibility; left, right (T, 21, 2): x, y, where a hand of zeros is missing. Raises
    InvalidKeypoints for other shapes.
    """
    frames = len(pose) if pose.ndim else 0
    for (name, shape), block in zip(_BLOCK_SHAPES.items(), (pose, left, right), strict=True):
        if block.shape != (frames, *shape):
            raise InvalidKeypoints(
                f"'{name}' should be (frames, {shape[0]}, {shape[1]}) with as many frames as 'pose', "
                f"got {tuple(block.shape)}"
            )
    points = np.zeros((len(pose), NUM_KEYPOINTS, 3), dtype)
    points[:, POSE] = pose
    for where, hand in ((LEFT_HAND, left), (RIGHT_HAND, right)):
        points[:, where, :2] = hand
        points[:, where, 2] = (hand != 0).any(axis=(1, 2))[:, None]
    return points


def mirrored(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same performance seen in a mirror: (..., 75, 3) -> (..., 75, 3), x -> 1 - x with left and right swapped."""
    out = points[..., MIRROR, :].copy()
    out[..., 0] = np.where(out[..., 2] > 0, 1 - out[..., 0], 0)
    return out


def hand_present(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(T, 75, 3) -> (T, 2): is the left, the right hand there?"""
    return points[:, [LEFT_HAND.start, RIGHT_HAND.start], 2] > 0


def person_present(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(T, 75, 3) -> (T,): was a body found in the frame?"""
    return (points[:, POSE, 2] > 0).any(axis=1)

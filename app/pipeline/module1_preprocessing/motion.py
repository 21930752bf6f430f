"""Saving work on slow machines: only every n-th image, and none that repeats the last one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import Keypoints
from app.pipeline.module1_preprocessing.landmarks.engine import LandmarkTrack, OnLandmarks, find_landmarks
from app.pipeline.module1_preprocessing.video import Frame

_SMALL = 64
_BLOCK = 8


class MotionGate:
    """Whether an image differs from the last one that was let through.

    Both are reduced to 64x64 grey, black 0 and white 1; the mean absolute difference is taken over each block of 8x8
    and the largest counts: a moving finger covers a hundredth of the image, and would vanish in its mean. The
    comparison is with the last image let through and not the last seen, so slow movement adds up. threshold: 0..1, 0
    lets everything through.
    """

    def __init__(self, threshold: float = 0.0) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(f"a motion threshold of {threshold} is outside 0..1; 0 switches the gate off")
        self._threshold = threshold
        self._last: NDArray[np.float32] | None = None

    def moved(self, rgb: NDArray[np.uint8]) -> bool:
        """rgb: uint8 (H, W, 3)."""
        if self._threshold == 0:
            return True
        small = cv2.resize(rgb, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        if self._last is not None:
            blocks = np.abs(grey - self._last).reshape(_SMALL // _BLOCK, _BLOCK, _SMALL // _BLOCK, _BLOCK)
            if float(blocks.mean(axis=(1, 3)).max()) < self._threshold:
                return False
        self._last = grey
        return True


def find_landmarks_with_skipping(
    frames: Iterable[Frame],
    track: LandmarkTrack,
    frame_skip: int = 0,
    motion_threshold: float = 0.0,
    on_landmarks: OnLandmarks | None = None,
) -> Keypoints:
    """`find_landmarks` that leaves out `frame_skip` frames after each one taken (interpolated by time later) and
    repeats the last landmarks for frames that show no change. With both 0 every frame is processed."""
    gate = MotionGate(motion_threshold)
    times: list[float] = []
    rows: list[int] = []  # for each frame kept, the processed frame that it repeats

    def moving() -> Iterator[Frame]:
        looked_at = -1
        for frame in itertools.islice(frames, 0, None, frame_skip + 1):
            moved = gate.moved(frame.rgb)
            looked_at += moved
            times.append(frame.time_s)
            rows.append(looked_at)
            if moved:
                yield frame

    clip = find_landmarks(moving(), track, on_landmarks)
    rgb = None if clip.rgb_features is None else clip.rgb_features[rows]
    return Keypoints(clip.points[rows], np.asarray(times, np.float64), clip.aspect, rgb)

"""Landmark frames of one session on their way to the model."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.pipeline.keypoints import NUM_KEYPOINTS


@dataclass(slots=True)
class FrameQueue:
    """Frames as received, oldest first."""

    batches: deque[tuple[NDArray[np.floating], list[float], NDArray[np.float32] | None]] = field(default_factory=deque)
    """Points (n, 75, 3), their n times in seconds of the stream and, where they have images that the recogniser reads,
    what it made of them (n, D)."""
    count: int = 0
    """Frames in all batches."""
    arrived: float = 0.0
    """When the newest one arrived (monotonic seconds)."""

    @property
    def last_s(self) -> float:
        """Time of the newest frame, in seconds of the stream."""
        return self.batches[-1][1][-1]

    def add(
        self, points: NDArray[np.floating], times: list[float], arrived: float, rgb: NDArray[np.float32] | None
    ) -> None:
        self.batches.append((points, times, rgb))
        self.count += len(times)
        self.arrived = arrived

    def drop_oldest(self) -> int:
        """Drop one batch; returns how many frames that were."""
        dropped = len(self.batches.popleft()[1])
        self.count -= dropped
        return dropped

    def take(self) -> tuple[NDArray[np.float32], list[float], NDArray[np.float32] | None]:
        """All of them, float32; rgb None where none has images, else rows of NaN for those without."""
        if not self.batches:
            return np.zeros((0, NUM_KEYPOINTS, 3), np.float32), [], None
        points = np.concatenate([points for points, _, _ in self.batches]).astype(np.float32, copy=False)
        times = [time_s for _, times, _ in self.batches for time_s in times]
        width = next((seen.shape[1] for _, _, seen in self.batches if seen is not None), None)
        rgb = None
        if width is not None:
            rgb = np.concatenate(
                [np.full((len(t), width), np.nan, np.float32) if r is None else r for _, t, r in self.batches]
            )
        self.batches.clear()
        self.count = 0
        return points, times, rgb

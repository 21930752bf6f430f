"""Landmark graphs that need no MediaPipe: whatever they are shown, the same performance is seen."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from app.pipeline.module1_preprocessing.landmarks.engine import ExtractionFailed, TrackLost
from tests.support.recognisers import performance


class PerformingGraph:
    def __init__(self, graphs: PerformingGraphs) -> None:
        self._graphs = graphs
        self._inside: deque[np.ndarray] = deque()
        self._seen = 0

    def send(self, rgb: np.ndarray) -> None:
        if self._graphs.broken:
            raise ExtractionFailed("the graph broke")
        if self._graphs.crashes:
            self._graphs.crashes -= 1
            raise TrackLost("the process ended")
        self._inside.append(rgb)

    depth = 2

    @property
    def pending(self) -> int:
        return len(self._inside)

    def close(self) -> None:
        self._graphs.lent -= 1

    def receive(self) -> np.ndarray:
        self._inside.popleft()
        time.sleep(self._graphs.seconds)
        self._graphs.go_on.wait(60)
        self._seen += 1
        return performance(100)[self._seen % 100]


class PerformingGraphs:
    """seconds: for each image; while `go_on` is not set, graphs hang; `broken` ones raise; the next `crashes` images
    lose their tracks."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.size = 1
        self.seconds, self.broken = seconds, False
        self.crashes = 0
        self.lent = 0
        self.go_on = threading.Event()
        self.go_on.set()

    def open(self) -> Any:
        self.lent += 1
        return PerformingGraph(self)

    def warm_up(self) -> None:
        pass

    def close(self) -> None:
        pass

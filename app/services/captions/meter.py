"""How many seconds of live captions a session has used: those in which frames came."""

from __future__ import annotations

from collections.abc import Sequence

from app.pipeline.module1_preprocessing.resample import MODEL_FPS

#: A longer gap between two frames counts as this much: a pause is not paid.
GAP_S = 1.0


class Meter:
    """Counts by capture time and by the clock, and takes the larger: capture times are what the client says, and a
    recording may be sent faster than it was made."""

    def __init__(self) -> None:
        self._captured_s = self._passed_s = 0.0
        self._last_s: float | None = None
        self._arrived = 0.0

    @property
    def seconds(self) -> float:
        return max(self._captured_s, self._passed_s)

    def add(self, times: Sequence[float], arrived: float) -> None:
        """Frames that were accepted. times: of their capture, seconds of the stream; arrived: monotonic seconds."""
        inside = times[-1] - times[0]
        if self._last_s is None:
            first = 1 / MODEL_FPS
            self._captured_s += first + inside
            self._passed_s += first
        else:
            self._captured_s += min(times[0] - self._last_s, GAP_S) + inside
            self._passed_s += min(arrived - self._arrived, GAP_S)
        self._last_s, self._arrived = times[-1], arrived

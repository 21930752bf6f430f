"""A client's capture times as seconds of its stream: strictly increasing, without empty gaps."""

from __future__ import annotations

from app.core.errors import BadTimestamp

#: Seconds. A longer gap is a pause, not slow signing, and is removed from the stream's time.
MAX_GAP_S = 2.0


class StreamClock:
    """fps: the rate of frames without capture times."""

    def __init__(self, fps: float) -> None:
        self._period = 1 / fps
        self._offset_s: float | None = None  # stream time minus the client's time
        self.last_s = -self._period  # stream time of the latest frame

    def times(self, count: int, time_us: int | None) -> tuple[list[float], bool]:
        """Stream seconds of `count` frames, the first captured at `time_us` (client's clock) or right after the last.

        Also returns whether a gap came before them. Raises BadTimestamp for a time that is not later than the last.
        """
        gap = False
        if time_us is None:
            start = self.last_s + self._period
        elif self._offset_s is None:
            start = self.last_s + self._period
            self._offset_s = start - time_us / 1e6
        else:
            start = time_us / 1e6 + self._offset_s
            if start > self.last_s + MAX_GAP_S or start < self.last_s - MAX_GAP_S:
                gap = True
                start = self.last_s + self._period
                self._offset_s = start - time_us / 1e6
            elif start <= self.last_s:
                raise BadTimestamp
        times = [start + i * self._period for i in range(count)]
        self.last_s = times[-1]
        return times, gap

    def arrival(self, now_s: float) -> float:
        """Stream seconds of one frame without a capture time, by its arrival (monotonic seconds)."""
        now_us = int(now_s * 1e6)
        if self._offset_s is None or now_s + self._offset_s > self.last_s:
            return self.times(1, now_us)[0][0]
        self.last_s += 1e-3
        return self.last_s

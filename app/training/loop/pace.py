"""Remaining time of a run, estimated from the steps so far."""

from __future__ import annotations

import time


class Pace:
    """Counts from the step at which this process started, so that a resumed run is not mistaken for a fast one."""

    def __init__(self, step: int, steps: int) -> None:
        self._first, self._steps = step, steps
        self._began = time.monotonic()

    def left(self, step: int) -> str:
        """Time until the last step, evaluations included as often as so far: "40 s", "12 min", "3 h 05 min"."""
        done = step - self._first
        seconds = (time.monotonic() - self._began) / done * (self._steps - step) if done else 0.0
        return duration(seconds)


def duration(seconds: float) -> str:
    """In a suitable unit."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"

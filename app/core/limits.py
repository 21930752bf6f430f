"""How many may do the same thing at once: the next one gets `Busy` instead of waiting for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.core.errors import Busy


class ConcurrencyLimit:
    """Counts what is in use. Not thread-safe; use from one event loop."""

    def __init__(self, limit: int, what: str, retry_after_s: int = 2) -> None:
        self.limit = limit
        self.in_use = 0
        self._what = what
        self._retry_after_s = retry_after_s

    @property
    def full(self) -> bool:
        return self.in_use >= self.limit

    def check(self) -> None:
        """Raise Busy when nothing more can be taken now."""
        if self.full:
            raise Busy(
                f"{self.in_use} {self._what} are running or waiting already, as many as this service takes. "
                f"Try again in {self._retry_after_s} seconds (header Retry-After).",
                retry_after_s=self._retry_after_s,
            )

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold one place. Raises Busy when there is none."""
        self.check()
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1


class RateLimit:
    """At most `limit` events in each period of `per_s` seconds. Not thread-safe; use from one event loop."""

    def __init__(self, limit: int, per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._per_s, self._now = limit, per_s, now
        self._began, self._count = now(), 0

    def allows(self) -> bool:
        """Count an event; False if it is one too many."""
        if self._now() - self._began >= self._per_s:
            self._began, self._count = self._now(), 0
        self._count += 1
        return self._count <= self._limit

"""How many may do the same thing at once: the next one gets `Busy` instead of waiting for ever."""

from __future__ import annotations

from collections.abc import Iterator
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

"""Limits on concurrent work and on rates, and which request makes room when the limit is reached."""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from app.core.errors import Busy, ServiceError
from app.core.network import address_key

#: A request keeps its place for at least this many seconds.
MIN_AGE_S = 2.0


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
        """Raise Busy when the limit is reached."""
        if self.full:
            raise _busy(self.in_use, self._what, self._retry_after_s)

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold one place. Raises Busy when none is free."""
        self.check()
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1


class RateLimit:
    """At most `burst` events at once, and `per_second` in the long run. Not thread-safe; use from one event loop."""

    def __init__(self, burst: float, per_second: float, now: Callable[[], float] = time.monotonic) -> None:
        self._burst, self._per_second, self._now = burst, per_second, now
        self._left, self._at = burst, now()

    @property
    def wait_s(self) -> float:
        """Seconds until the next event may happen."""
        now = self._now()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        return max(0.0, (1 - self._left) / self._per_second)

    def count(self) -> None:
        """Count an event, even if it exceeds the limit."""
        self._left -= 1

    def allows(self) -> bool:
        """Count an event; False, and not counted, if it exceeds the limit."""
        if self.wait_s > 0:
            return False
        self.count()
        return True


@dataclass(eq=False, slots=True)
class Place:
    """What a request holds while it is received and processed."""

    address: str
    """Whose it is, as limits count addresses."""
    timeout: asyncio.Timeout
    """Ends the request when it must make room."""
    began: float = field(default_factory=time.monotonic)
    received: int = 0
    """Bytes of the request so far; 0 where they are not counted."""
    in_memory: int = 0
    """Bytes of them that are held in memory until the request ends."""
    settled: bool = False
    """The request is complete and keeps its place from now on."""

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.began

    @property
    def kb_s(self) -> float:
        """Average rate so far, in KiB per second."""
        return self.received / 1024 / max(self.age_s, 1e-3)


class Places:
    """A number of places for requests that take time to arrive. Not thread-safe; use from one event loop.

    When all are taken, a newcomer gets the place of a request that only holds it: one that is not settled, older than
    `min_age_s`, and either slower than `min_kb_s` or of an address that holds more than a quarter of the places. The
    address that holds most gives way first, with its slowest request. Memory may be shared out alike.
    """

    def __init__(
        self,
        limit: int,
        what: str,
        gave_way: Callable[[Place], ServiceError],
        min_kb_s: float = math.inf,
        min_age_s: float = MIN_AGE_S,
    ) -> None:
        """what: what is counted, for error messages. gave_way: the error of a request that loses its place."""
        self._limit, self._what, self._gave_way = limit, what, gave_way
        self._min_kb_s, self._min_age_s = min_kb_s, min_age_s
        self.taken: set[Place] = set()

    @asynccontextmanager
    async def hold(self, address: str | None) -> AsyncIterator[Place]:
        """A place while the block lasts. Raises Busy when none is free, `gave_way` in the block when it is lost."""
        if len(self.taken) >= self._limit and not self.make_room(dict.fromkeys(self.taken, 1 / self._limit)):
            raise _busy(len(self.taken), self._what)
        place: Place | None = None
        try:
            async with asyncio.timeout(None) as timeout:
                place = Place("" if address is None else address_key(address), timeout)
                self.taken.add(place)
                yield place
        except TimeoutError:
            if place is None or not timeout.expired():
                raise
            raise self._gave_way(place) from None
        finally:
            self.taken.discard(place)

    def make_room(self, shares: Mapping[Place, float]) -> bool:
        """End one of these requests, if any may be ended. shares: of what is short, 0..1."""
        held: defaultdict[str, float] = defaultdict(float)
        for place, share in shares.items():
            held[place.address] += share
        idle = [
            place
            for place in shares
            if not place.settled
            and place.age_s > self._min_age_s
            and (place.kb_s < self._min_kb_s or held[place.address] > 1 / 4)
        ]
        if not idle:
            return False
        leaves = max(idle, key=lambda place: (held[place.address], -place.kb_s, place.age_s))
        self.taken.discard(leaves)
        leaves.timeout.reschedule(asyncio.get_running_loop().time())
        return True


def _busy(count: int, what: str, retry_after_s: int = 2) -> Busy:
    return Busy(
        f"{count} {what} are already running or waiting, the limit of this service. "
        f"Try again in {retry_after_s} seconds (header Retry-After).",
        headers={"Retry-After": str(retry_after_s)},
    )

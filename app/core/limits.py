"""How many may do the same thing at once or in a while, and who gives way when there are too many."""

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

#: A request has to give way to others only after this many seconds.
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
        """Raise Busy when nothing more can be taken now."""
        if self.full:
            raise _busy(self.in_use, self._what, self._retry_after_s)

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
        """Count an event, also where it is one too many."""
        self._left -= 1

    def allows(self) -> bool:
        """Count an event and return True; one that is too many is not counted."""
        if self.wait_s > 0:
            return False
        self.count()
        return True


@dataclass(eq=False, slots=True)
class Place:
    """What a request holds while it comes in and is worked on."""

    address: str
    """Whose it is, as limits count addresses."""
    timeout: asyncio.Timeout
    """Ends the request when it has to give way."""
    began: float = field(default_factory=time.monotonic)
    received: int = 0
    """Bytes of the request so far; 0 where they are not counted."""
    in_memory: int = 0
    """Bytes of it that are held in memory until it ends."""
    settled: bool = False
    """The request is complete: it does not give way any more."""

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
    address that holds most gives way first, with its slowest request.
    """

    def __init__(
        self,
        limit: int,
        what: str,
        gave_way: Callable[[Place], ServiceError],
        min_kb_s: float = math.inf,
        min_age_s: float = MIN_AGE_S,
    ) -> None:
        """what: is counted, for the message of a refusal. gave_way: the error of a request that had to."""
        self._limit, self._what, self._gave_way = limit, what, gave_way
        self._min_kb_s, self._min_age_s = min_kb_s, min_age_s
        self._taken: set[Place] = set()

    def __len__(self) -> int:
        return len(self._taken)

    @asynccontextmanager
    async def hold(self, address: str | None) -> AsyncIterator[Place]:
        """A place while the block lasts. Raises Busy when there is none, and in the block `gave_way`."""
        if len(self._taken) >= self._limit and not self._make_room(dict.fromkeys(self._taken, 1 / self._limit)):
            raise _busy(len(self._taken), self._what)
        place: Place | None = None
        try:
            async with asyncio.timeout(None) as timeout:
                place = Place("" if address is None else address_key(address), timeout)
                self._taken.add(place)
                yield place
        except TimeoutError:
            if place is None or not timeout.expired():
                raise
            raise self._gave_way(place) from None
        finally:
            self._taken.discard(place)

    @property
    def in_memory(self) -> int:
        """Bytes that the requests hold in memory."""
        return sum(place.in_memory for place in self._taken)

    def make_memory(self, limit: int, asking: Place) -> bool:
        """Let requests other than `asking` give way until all together hold at most `limit` bytes."""
        while self.in_memory > limit:
            others = self._taken - {asking}
            if not self._make_room({place: place.in_memory / limit for place in others if place.in_memory}):
                return False
        return True

    def _make_room(self, shares: Mapping[Place, float]) -> bool:
        """shares: of what is short, by place."""
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
        self._taken.discard(leaves)
        leaves.timeout.reschedule(asyncio.get_running_loop().time())
        return True


def _busy(count: int, what: str, retry_after_s: int = 2) -> Busy:
    return Busy(
        f"{count} {what} are running or waiting already, as many as this service takes. "
        f"Try again in {retry_after_s} seconds (header Retry-After).",
        retry_after_s=retry_after_s,
    )

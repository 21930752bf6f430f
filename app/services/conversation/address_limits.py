"""Limits per network address: concurrent connections, and the rate of attempts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.core.errors import AddressFull, TooManyAttempts
from app.core.limits import RateLimit
from app.core.network import address_key, is_loopback

#: Attempts that an address regains each second.
ATTEMPTS_PER_S = 2.0
#: Addresses kept; the one that has been inactive for longest is dropped first.
MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Address:
    attempts: RateLimit
    connections: int = 0


class AddressLimits:
    """Not thread-safe; use from one event loop. An IPv6 address counts with its /64 network."""

    def __init__(
        self,
        at_once: int | None,
        burst: int,
        now: Callable[[], float] = time.monotonic,
        loopback_exempt: bool = False,
    ) -> None:
        """
        at_once: concurrent connections of one address; None = unlimited
        burst: attempts in a burst, before ATTEMPTS_PER_S applies
        loopback_exempt: programs on this machine, including a proxy, may hold any number of connections
        """
        self._at_once, self._burst, self._now = at_once, burst, now
        self._loopback_exempt = loopback_exempt
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def attempt(self, address: str | None) -> None:
        """Count an attempt to connect; address None: not known, not limited. Raises TooManyAttempts."""
        if address is None:
            return
        if not self._known(address).attempts.allows():
            raise TooManyAttempts

    @contextmanager
    def admit(self, address: str | None) -> Iterator[None]:
        """Count an attempt and hold a connection. Raises TooManyAttempts, AddressFull."""
        self.attempt(address)
        if address is None:
            yield
            return
        known = self._known(address)
        exempt = self._loopback_exempt and is_loopback(address)
        if self._at_once is not None and not exempt and known.connections >= self._at_once:
            raise AddressFull(f"{known.connections} connections are open from this address, the limit per address.")
        known.connections += 1
        try:
            yield
        finally:
            known.connections -= 1

    def _known(self, address: str) -> _Address:
        address = address_key(address)
        known = self._addresses.pop(address, None) or _Address(RateLimit(self._burst, ATTEMPTS_PER_S, self._now))
        self._addresses[address] = known
        while len(self._addresses) > MAX_ADDRESSES:
            idle = next((a for a, k in self._addresses.items() if k.connections == 0), None)
            if idle is None:
                break
            del self._addresses[idle]
        return known

    def __len__(self) -> int:
        return len(self._addresses)

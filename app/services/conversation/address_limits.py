"""What one network address may do: connections at once, and attempts in a while."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.core.errors import AddressFull, TooManyAttempts
from app.core.network import address_key, is_loopback

#: Attempts an address gets back each second.
ATTEMPTS_PER_S = 2.0
#: Addresses remembered; the one unseen for longest is forgotten first.
MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Address:
    attempts_left: float
    at: float
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
        at_once: connections of one address; None = any number
        burst: attempts at once, before ATTEMPTS_PER_S holds
        loopback_exempt: programs on this machine, a proxy among them, may hold any number of connections
        """
        self._at_once, self._burst, self._now = at_once, burst, now
        self._loopback_exempt = loopback_exempt
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    def attempt(self, address: str | None) -> None:
        """Count an attempt to connect; None is a door without addresses. Raises TooManyAttempts."""
        if address is None:
            return
        known = self._known(address)
        if known.attempts_left < 1:
            raise TooManyAttempts
        known.attempts_left -= 1

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
            raise AddressFull(
                f"{known.connections} connections are open from this address, as many as this service accepts from one."
            )
        known.connections += 1
        try:
            yield
        finally:
            known.connections -= 1

    def _known(self, address: str) -> _Address:
        address, now = address_key(address), self._now()
        known = self._addresses.pop(address, None)
        if known is None:
            known = _Address(float(self._burst), now)
        else:
            known.attempts_left = min(float(self._burst), known.attempts_left + (now - known.at) * ATTEMPTS_PER_S)
            known.at = now
        self._addresses[address] = known
        while len(self._addresses) > MAX_ADDRESSES:
            idle = next((a for a, k in self._addresses.items() if k.connections == 0), None)
            if idle is None:
                break
            del self._addresses[idle]
        return known

    def __len__(self) -> int:
        return len(self._addresses)

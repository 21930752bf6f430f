"""All open connections of one server: how many an address may hold with unfinished requests, and deadlines."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Protocol

from loguru import logger

from app.core.network import AddressList, address_key

#: Connections of one address whose request is not complete yet. A browser opens six, most of them for milliseconds.
UNFINISHED_PER_ADDRESS = 64
#: Share of all connections that one address may hold, complete or not.
ADDRESS_SHARE = 0.75
#: File descriptors that connections leave for everything else the process opens.
RESERVED_DESCRIPTORS = 128
#: A response, or a close, that the client has not read for this long is given up.
UNREAD_S = 30.0
CLOSING_S = 10.0
#: How often deadlines are checked; they are late by at most this.
SWEEP_S = 1.0


def default_connections() -> int:
    """As many as the limit on open files allows, at most 4096."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 4096
    return max(64, min(4096, soft - RESERVED_DESCRIPTORS))


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of one server process."""

    connections: int = field(default_factory=default_connections)
    """Open connections, WebSockets included."""
    header_s: float = 10.0
    """Seconds from the first byte of a request, or from connecting, to the end of its headers."""
    body_idle_s: float = 30.0
    """Seconds without a byte of the request body."""
    body_s: float = 1800.0
    """Seconds for a whole request body."""
    proxies: AddressList = field(default_factory=AddressList)
    """Peers whose connections are those of many clients: exempt from the limit per address."""


class Connection(Protocol):
    """What the table has to know of a connection."""

    transport: asyncio.Transport
    peer: str | None
    last_data: float
    """When bytes came from the client (monotonic)."""

    @property
    def unfinished(self) -> bool:
        """Whether the connection has no complete request."""
        ...

    def check(self, now: float) -> None:
        """End the connection if a deadline has passed."""
        ...


class Connections:
    """Not thread-safe; use from one event loop.

    Where there are too many, the newcomer is let in and the unfinished connection whose client has been silent for
    longest is closed: a client that sends its request at once always gets through, also from an address that holds
    hundreds of half-sent requests.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._by_address: defaultdict[str, set[Connection]] = defaultdict(set)
        self._keys: dict[Connection, str] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = 0
        self._reported = -60.0

    def __len__(self) -> int:
        return len(self._keys)

    def join(self, connection: Connection) -> None:
        """Count a new connection; it or another one is closed where there are too many."""
        key = address_key(connection.peer) if connection.peer is not None else ""
        own = self._by_address[key]
        own.add(connection)
        self._keys[connection] = key
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        if connection.peer is not None and connection.peer not in self.limits.proxies:
            unfinished = [c for c in own if c.unfinished] if len(own) > UNFINISHED_PER_ADDRESS else []
            if len(unfinished) > UNFINISHED_PER_ADDRESS or len(own) > self.limits.connections * ADDRESS_SHARE:
                self._close_one(unfinished, connection)
        if len(self._keys) > self.limits.connections:
            self._close_one([c for c in self._keys if c.unfinished], connection)

    def leave(self, connection: Connection) -> None:
        key = self._keys.pop(connection, None)
        if key is None:
            return
        own = self._by_address[key]
        own.discard(connection)
        if not own:
            del self._by_address[key]

    def _close_one(self, unfinished: list[Connection], newcomer: Connection) -> None:
        candidates = [c for c in unfinished if c is not newcomer]
        victim = min(candidates, key=lambda c: c.last_data) if candidates else newcomer
        self.leave(victim)
        victim.transport.abort()
        self._closed += 1

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._keys):
            connection.check(now)
        if self._closed and now - self._reported > 60:
            logger.warning("{} connections with unfinished requests were closed to let others in", self._closed)
            self._closed, self._reported = 0, now
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep) if self._keys else None


class WriteDeadline:
    """Aborts a connection whose client does not read: UNREAD_S while it is open, CLOSING_S once it is closing."""

    def __init__(self) -> None:
        self.paused_at: float | None = None
        """Since when the write buffer has been full (monotonic)."""
        self._closing_at: float | None = None

    def passed(self, transport: asyncio.Transport, now: float) -> bool:
        if transport.is_closing():
            self._closing_at = self._closing_at or now
            return now - self._closing_at > CLOSING_S
        return self.paused_at is not None and now - self.paused_at > UNREAD_S

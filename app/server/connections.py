"""All open connections of one server: how many an address may hold with unfinished requests, and deadlines."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import defaultdict
from typing import Any

from loguru import logger

from app.core.network import AddressList, address_key
from app.core.settings import Settings

#: Connections of one address with incomplete requests. A browser opens six, most of them for milliseconds.
UNFINISHED_PER_ADDRESS = 64
#: Share of all connections that one address may hold, complete or not.
ADDRESS_SHARE = 0.75
#: File descriptors reserved for everything else that the process opens.
RESERVED_DESCRIPTORS = 128
#: Seconds after which a response, or a close, that the client has not read is dropped.
UNREAD_S = 30.0
CLOSING_S = 10.0
#: How often deadlines are checked; they are late by at most this.
SWEEP_S = 1.0


def _default_connections() -> int:
    """As many as the limit on open files allows, at most 4096."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 4096
    return max(64, min(4096, soft - RESERVED_DESCRIPTORS))


class Connection(asyncio.Protocol):
    """Mixed into a protocol of uvicorn: keeps it in a table, and notices a client that does not read."""

    transport: asyncio.Transport
    client: tuple[str, int] | None

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer: str | None = None
        self.last_data = time.monotonic()
        """When the client last sent bytes (monotonic)."""
        self.table = connections
        self._paused_at: float | None = None  # since when the write buffer has been full
        self._closing_at: float | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the connection has no complete request."""
        raise NotImplementedError

    def check(self, now: float) -> None:
        """End the connection if a deadline has passed."""
        raise NotImplementedError

    def unread(self, now: float) -> bool:
        """Whether the client has not read for too long: UNREAD_S while it is open, CLOSING_S once it is closing."""
        if self.transport.is_closing():
            self._closing_at = self._closing_at or now
            return now - self._closing_at > CLOSING_S
        return self._paused_at is not None and now - self._paused_at > UNREAD_S

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.peer = self.client[0] if self.client is not None else None
        self.table.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.table.leave(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        self._paused_at = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused_at = None
        super().resume_writing()


class Connections:
    """Not thread-safe; use from one event loop.

    Over the limit, a new connection is accepted and the unfinished connection that has been silent longest is closed:
    a client that sends its request at once always gets through, even from an address with hundreds of half-sent
    requests.
    """

    def __init__(self, settings: Settings, proxies: AddressList) -> None:
        """proxies: peers whose connections are those of many clients: exempt from the limit per address."""
        self.settings, self._proxies = settings, proxies
        self._limit = settings.max_connections or _default_connections()
        self._by_address: defaultdict[str, set[Connection]] = defaultdict(set)
        self._keys: dict[Connection, str] = {}
        self._sweeping: asyncio.TimerHandle | None = None
        self._closed = 0
        self._reported = -60.0

    def __len__(self) -> int:
        return len(self._keys)

    def join(self, connection: Connection) -> None:
        """Count a new connection; over the limit, it or another one is closed."""
        key = address_key(connection.peer) if connection.peer is not None else ""
        own = self._by_address[key]
        own.add(connection)
        self._keys[connection] = key
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)
        if connection.peer is not None and connection.peer not in self._proxies:
            unfinished = [c for c in own if c.unfinished] if len(own) > UNFINISHED_PER_ADDRESS else []
            if len(unfinished) > UNFINISHED_PER_ADDRESS or len(own) > self._limit * ADDRESS_SHARE:
                self._close_one(unfinished, connection)
        if len(self._keys) > self._limit:
            self._close_one([c for c in self._keys if c.unfinished], connection)

    def leave(self, connection: Connection) -> None:
        key = self._keys.pop(connection, None)
        if key is None:
            return
        own = self._by_address[key]
        own.discard(connection)
        if not own:
            del self._by_address[key]

    def _close_one(self, unfinished: list[Connection], new: Connection) -> None:
        candidates = [c for c in unfinished if c is not new]
        victim = min(candidates, key=lambda c: c.last_data) if candidates else new
        self.leave(victim)
        victim.transport.abort()
        self._closed += 1

    def _sweep(self) -> None:
        now = time.monotonic()
        for connection in list(self._keys):
            connection.check(now)
        if self._closed and now - self._reported > 60:
            logger.warning("closed {} connections with unfinished requests to accept new ones", self._closed)
            self._closed, self._reported = 0, now
        self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep) if self._keys else None

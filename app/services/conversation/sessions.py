"""The live sessions of one kind in this process: admission, resuming after a lost connection, expiry and shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from loguru import logger

from app.core import errors
from app.core.limits import ConcurrencyLimit
from app.core.principal import ANONYMOUS, Principal
from app.services.conversation.address_limits import AddressLimits
from app.services.conversation.commands import Resume
from app.services.conversation.conversation import Session
from app.services.conversation.events import Closing, Event


class KeptSession(Session, Protocol):
    """What the owner of sessions needs beside what a conversation does."""

    @property
    def token(self) -> str: ...
    @property
    def principal(self) -> Principal: ...
    @property
    def idle_s(self) -> float:
        """Seconds since the last message."""
        ...

    @property
    def began(self) -> float:
        """Monotonic seconds."""
        ...

    @property
    def used_s(self) -> float:
        """Seconds that are charged."""
        ...

    charge: Any
    """What pays for it: its `close` returns a task; None: it is free."""

    def resume(self) -> None:
        """The client is back on another connection."""
        ...

    def fail(self, problem: errors.ServiceError) -> None: ...
    def flush_if_quiet(self) -> None: ...
    async def end(self, last: Event | None, problem: errors.ServiceError, timeout_s: float) -> None: ...
    async def close(self) -> None: ...


K = TypeVar("K", bound=KeptSession)


@dataclass(slots=True)
class Entry(Generic[K]):
    session: K
    connected: bool = True
    lost_at: float = 0.0
    """When the connection was lost (monotonic seconds)."""
    connection: int = 0
    """Increases with each connection of the session."""
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """The client is gone."""


E = TypeVar("E", bound=Entry[Any])


@dataclass(frozen=True, slots=True)
class Times:
    """Limits of sessions, in seconds."""

    resume: float
    """Within which a client may resume."""
    idle: float
    """Without a message."""
    session: float
    finish: float
    """For what is pending when the service ends a session."""


class LiveSessions(Generic[E]):
    """The Sessions of conversations (see there), without `open`. Not thread-safe; needs a running event loop."""

    def __init__(self, streams: ConcurrencyLimit, limits: AddressLimits, name: str) -> None:
        """streams: sessions with a client. limits: of addresses."""
        self._entries: dict[str, E] = {}
        self.draining = False
        """Shutting down: no session can begin."""
        self.streams, self._limits = streams, limits
        self._sweeper = asyncio.create_task(self._sweep(), name=name)

    async def close(self) -> None:
        """End everything at once; call `drain` first for a graceful shutdown."""
        self.draining = True
        self._sweeper.cancel()
        await asyncio.gather(self._sweeper, return_exceptions=True)
        for session_id in list(self._entries):
            await self.drop(session_id)

    # -- what differs --------------------------------------------------------------------------------------------------

    @property
    def times(self) -> Times:
        raise NotImplementedError

    def _check_open(self) -> None:
        """Raises ServiceError when no client can be admitted."""
        if self.draining:
            raise errors.Draining

    def _ready(self, session: Any) -> Event:
        """The first event of a connection."""
        raise NotImplementedError

    def _overdue(self, session: Any) -> errors.ServiceError | None:
        """Another reason to end a session now."""
        return None

    def _ended(self, entry: E) -> None:
        """A session has been closed."""

    # -- connections ---------------------------------------------------------------------------------------------------

    @property
    def active(self) -> int:
        """Sessions, including those that may still be resumed."""
        return len(self._entries)

    @contextlib.contextmanager
    def admit(self, address: str | None) -> Iterator[None]:
        """Hold a connection, from before its session begins until after it ends. Raises Draining, TooManyAttempts,
        AddressFull."""
        self._check_open()
        with self._limits.admit(address):
            yield

    def attempt(self, address: str | None) -> None:
        """Count an attempt of this address to connect. Raises TooManyAttempts."""
        self._limits.attempt(address)

    def resume(self, resume: Resume, principal: Principal = ANONYMOUS) -> Any:
        """The session of a client that lost its connection; events it has not received are sent again. Raises
        UnknownSession, for sessions of other accounts too."""
        entry = self._entries.get(resume.session_id)
        if entry is None or not hmac.compare_digest(entry.session.token.encode(), resume.token.encode()):
            raise errors.UnknownSession
        if entry.session.principal.user_id != principal.user_id:
            raise errors.UnknownSession
        if not entry.connected:
            entry.connected = True
            self.streams.in_use += 1
        entry.connection += 1
        session = entry.session
        session.resume()
        session.outbox.reconnect(resume.last_seq)
        session.outbox.put_first(self._ready(session))
        return session

    def connection_of(self, session: Any) -> int:
        entry = self._entries.get(session.id)
        return -1 if entry is None else entry.connection

    def lost(self, session: Any, connection: int) -> None:
        entry = self._entries.get(session.id)
        if entry is not None and entry.connection == connection and entry.connected:
            entry.connected = False
            self.streams.in_use -= 1
            entry.left.set()
            entry.lost_at = time.monotonic()

    async def drop(self, session_id: str) -> None:
        """End a session at once."""
        entry = self._entries.pop(session_id, None)
        if entry is not None:
            if entry.connected:
                self.streams.in_use -= 1
            entry.left.set()
            try:
                await entry.session.close()
            finally:
                if entry.session.charge is not None:
                    entry.session.charge.close()
                self._ended(entry)

    async def drop_lost(self, principal: Principal) -> list[asyncio.Task[None]]:
        """End the sessions of this account that their clients have lost; what settles them."""
        if principal.user_id is None:
            return []
        entries = [entry for entry in self._entries.values() if not entry.connected]
        lost = [entry.session for entry in entries if entry.session.principal.user_id == principal.user_id]
        for session in lost:
            await self.drop(session.id)
        return [session.charge.close() for session in lost if session.charge is not None]

    # -- the end -------------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Refuse new sessions; every open one gets its finals and `closing`."""
        self.draining = True
        finish_s = self.times.finish

        async def one(entry: E) -> None:
            await entry.session.end(Closing(), errors.Draining("The service is shutting down."), finish_s / 2)
            if entry.connected:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(finish_s / 2):
                        await entry.left.wait()

        await asyncio.gather(*(one(entry) for entry in list(self._entries.values())))

    async def _sweep(self) -> None:
        """End sentences and sessions that have reached their time limits."""
        while True:
            await asyncio.sleep(0.5)
            now, times = time.monotonic(), self.times
            for session_id, entry in list(self._entries.items()):
                session = entry.session
                session.flush_if_quiet()
                if not entry.connected:
                    if now - entry.lost_at > times.resume:
                        logger.info("live session {} was not resumed", session_id)
                        await self.drop(session_id)
                elif session.idle_s > times.idle:
                    session.fail(errors.Idle(f"Nothing came for {times.idle:g} seconds."))
                elif (overdue := self._overdue(session)) is not None:
                    session.fail(overdue)
                elif now - session.began > times.session:
                    limit = f"The session reached its limit of {times.session / 3600:g} hours."
                    session.fail(errors.SessionTooLong(limit))

"""The conversation with one live client, the same for every transport and subject: first message, commands in, events
out, errors, the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Generic, Protocol, TypeVar

from loguru import logger

from app.core.errors import BadStart, Close, InternalError, ServiceError, SlowReader, TakenOver, TooFast, TooManyFaults
from app.core.limits import RateLimit
from app.core.principal import ANONYMOUS, Principal
from app.services.conversation.commands import Ack, Message, Ping, Resume, Start, Stop
from app.services.conversation.events import Error, Event, Pong
from app.services.conversation.outbox import Outbox

#: A client may begin with `start`; after this many seconds without a message, the defaults apply.
FIRST_MESSAGE_S = 1.0
#: A client that does not accept a message for this many seconds is considered not to read.
SEND_S = 20.0
#: Seconds between two `stats`, and to the first one.
STATS_S, FIRST_STATS_S = 5.0, 1.0
#: Seconds between two checks of whether the client may still use the service.
RECHECK_S = 60.0
#: Seconds to send the events that are queued when a session ends.
LAST_EVENTS_S = 2.0
#: Messages that a client may send in a burst, and per second in the long run: enough for three cameras.
BURST, RATE = 400, 100.0
MAX_FAULTS = 200


class ClientDisconnected(Exception):
    """The client is gone. clean: it closed the connection and will not resume."""

    def __init__(self, clean: bool) -> None:
        super().__init__("the client is gone")
        self.clean = clean


class Door(Protocol):
    """One transport. All methods raise ClientDisconnected when the client is gone."""

    async def receive(self) -> Any:
        """The next command. Raises ServiceError for a message that cannot be read. May be cancelled."""
        ...

    async def send(self, event: Event) -> None:
        """Return when the connection has accepted the event, so that a client that does not read is noticed."""
        ...

    async def close(self, problem: ServiceError | None) -> None:
        """End the connection; problem: why, unless the client requested it."""
        ...


class Session(Protocol):
    """What a conversation needs of a session."""

    @property
    def id(self) -> str: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def failed(self) -> ServiceError | None:
        """Why the session has to end."""
        ...

    @property
    def finished(self) -> bool:
        """`finish` is done; the session cannot be resumed."""
        ...

    @property
    def has_input(self) -> bool:
        """Whether it is too late for a `start`."""
        ...

    async def handle(self, command: Any) -> None:
        """Handle a command that is not about the conversation itself. Raises ServiceError."""
        ...

    def touch(self) -> None:
        """A message arrived."""
        ...

    def stats(self) -> Event: ...

    async def finish(self) -> None:
        """Send everything that is pending, then `done`."""
        ...


S = TypeVar("S", bound=Session)


class Sessions(Protocol[S]):
    """What a conversation needs of the owner of sessions. Methods raise ServiceError for refused clients."""

    def admit(self, address: str | None) -> AbstractContextManager[None]:
        """Hold a connection, from before its session begins until after it ends."""
        ...

    async def open(self, start: Any, principal: Principal) -> S:
        """A new session; start: the client's, None for the defaults."""
        ...

    def resume(self, resume: Resume, principal: Principal) -> S:
        """The session of a client that lost its connection; for the account that it belongs to."""
        ...

    def connection_of(self, session: S) -> int:
        """Number of the session's connection; a door with an older number has lost the session."""
        ...

    def lost(self, session: S, connection: int) -> None:
        """The connection was lost: keep the session for its client."""
        ...

    async def drop(self, session_id: str) -> None: ...

    def count_refusal(self, problem: ServiceError) -> None: ...

    def count_event(self, event: Event) -> None: ...


class _StartOver(Exception):
    """A `start` that arrived after the defaults were applied, before any input."""

    def __init__(self, start: Start) -> None:
        super().__init__("start over")
        self.start = start


async def _anonymous() -> Principal:
    return ANONYMOUS


async def _stays(principal: Principal) -> None:
    pass


class Conversation(Generic[S]):
    """One connection and the session it carries."""

    def __init__(
        self,
        door: Door,
        sessions: Sessions[S],
        address: str | None = None,
        first_message_s: float = FIRST_MESSAGE_S,
        on_open: Callable[[S], None] | None = None,
        default: Start | None = None,
        who: Callable[[], Awaitable[Principal]] = _anonymous,
        recheck: Callable[[Principal], Awaitable[None]] = _stays,
    ) -> None:
        """address: of the client, for limits; None if unknown. first_message_s: seconds to wait for a `start` before
        the defaults apply. on_open: called with each session that this connection gets. default: applies where the
        client sends no `start`. who: tells who the client is, once it is admitted. recheck: whether
        it still is that one, asked from time to time. Their ServiceErrors end the connection."""
        self._door, self._sessions, self._address = door, sessions, address
        self._first_message_s, self._on_open, self._default = first_message_s, on_open, default
        self._who, self._recheck, self._principal = who, recheck, ANONYMOUS
        self._session: S | None = None
        self._number = 0
        self._started = False  # the client sent `start`
        self._rate = RateLimit(BURST, RATE)
        self._faults = 0

    async def run(self) -> None:
        """Run until either side ends it; the session is then dropped, or kept for a client that may resume it."""
        problem: ServiceError | None = None
        gone: ClientDisconnected | None = None
        try:
            with self._sessions.admit(self._address):
                try:
                    self._principal = await self._who()
                    await self._talk_from_the_start()
                except ServiceError as refused:
                    problem = refused
                    if self._session is None:
                        self._sessions.count_refusal(refused)
                except ClientDisconnected as disconnected:
                    gone = disconnected
                except Exception:  # noqa: BLE001 - the client must learn that the error is not its own
                    logger.exception("a live conversation failed")
                    problem = InternalError("The session failed.")
                finally:
                    await self._leave(problem, gone)
        except ServiceError as refused:  # not admitted
            self._sessions.count_refusal(refused)
            await self._close(refused)

    async def _talk_from_the_start(self) -> None:
        first, fault = await self._first_message()
        start = first if isinstance(first, Start) else None
        command = None if start is not None else first
        while True:
            self._started = start is not None
            session = await self._open(start)
            if fault is not None:
                self._report(session, fault)
            try:
                await self._talk(session, command)
                return
            except _StartOver as again:
                start, command, fault = again.start, None, None

    async def _first_message(self) -> tuple[Any, ServiceError | None]:
        """The first command, or its error if the session can begin nevertheless; neither after `first_message_s`.
        Raises ServiceError if it cannot begin a session, such as a `start` with invalid settings."""
        try:
            async with asyncio.timeout(self._first_message_s):
                return await self._next_command(), None
        except TimeoutError:
            return None, None
        except ServiceError as fault:
            if fault.close is not None:
                raise
            return None, fault

    def _report(self, session: S, fault: ServiceError) -> None:
        """Report a message that could not be used; the session continues. Raises TooManyFaults, SlowReader."""
        self._faults += 1
        if self._faults > MAX_FAULTS:
            raise TooManyFaults(f"{MAX_FAULTS} messages could not be used. The errors before this one say why.")
        session.outbox.put(Error(code=fault.code, message=fault.detail, fatal=False))

    async def _open(self, start: Start | None) -> S:
        if self._session is not None:
            await self._sessions.drop(self._session.id)
            self._session = None
        resume = start.resume if start is not None else None
        if resume is None:
            session = await self._sessions.open(start or self._default, self._principal)
        else:
            session = self._sessions.resume(resume, self._principal)
        self._session = session
        if self._on_open is not None:
            self._on_open(session)
        self._number = self._sessions.connection_of(session)
        return session

    async def _next_command(self) -> Any:
        command = await self._door.receive()
        if not self._rate.allows():
            raise TooFast(f"More than {RATE:g} messages a second; send fewer frames.")
        return command

    async def _talk(self, session: S, command: Message | None) -> None:
        """Run both directions until one of them ends."""
        sender = asyncio.create_task(self._send_events(session))
        watcher = asyncio.create_task(self._watch(session, sender))
        receiver = asyncio.create_task(self._receive(session, command))
        try:
            await asyncio.wait({receiver, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in (watcher, receiver):
                if not task.done():
                    task.cancel()
            outcomes = await asyncio.gather(watcher, receiver, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
        except (ClientDisconnected, _StartOver, SlowReader):
            raise
        except ServiceError:
            await self._last_events(session, sender)
            raise
        else:
            await self._last_events(session, sender)
        finally:
            for task in (sender, watcher, receiver):
                task.cancel()
            await asyncio.gather(sender, watcher, receiver, return_exceptions=True)

    async def _receive(self, session: S, command: Any) -> None:
        while True:
            try:
                if command is not None and await self._handle(session, command):
                    return
                command = await self._next_command()
            except ServiceError as problem:
                command = None
                if problem.close not in (None, Close.BAD_START, Close.PLAN_LIMIT):
                    raise
                self._report(session, problem)
            session.touch()

    async def _handle(self, session: S, command: Any) -> bool:
        """Handle a command; True if it ends the session."""
        match command:
            case Start():
                if not self._started and not session.has_input:
                    raise _StartOver(command)
                raise BadStart("The session has already begun: 'start' must be the first message.")
            case Ack():
                session.outbox.acknowledge(command.seq)
            case Ping():
                session.outbox.put(Pong())
            case Stop():
                await session.finish()
                return True
            case _:
                await session.handle(command)
        return False

    async def _send_events(self, session: S) -> None:
        while True:
            self._check_mine(session)  # later messages may be for another connection
            await self._send(await session.outbox.next())

    async def _send(self, event: Event) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._door.send(event)
        except TimeoutError:
            raise SlowReader from None
        self._sessions.count_event(event)

    async def _watch(self, session: S, sender: asyncio.Task[None]) -> None:
        """Send statistics until the session has to end; raises the error that ends it."""
        sent_at = time.monotonic() - STATS_S + FIRST_STATS_S
        checked_at = time.monotonic()
        while True:
            await asyncio.wait({sender}, timeout=0.2)
            if sender.done():
                sender.result()
                return
            if session.failed is not None:
                raise session.failed
            self._check_mine(session)
            if time.monotonic() - checked_at >= RECHECK_S:
                checked_at = time.monotonic()
                await self._recheck(self._principal)
            if time.monotonic() - sent_at >= STATS_S:
                sent_at = time.monotonic()
                session.outbox.put(session.stats())

    def _check_mine(self, session: S) -> None:
        if self._sessions.connection_of(session) != self._number:
            raise TakenOver

    async def _last_events(self, session: S, sender: asyncio.Task[None]) -> None:
        """Send what is queued, if the client accepts it."""
        queue_empty = asyncio.ensure_future(session.outbox.sent())
        await asyncio.wait({sender, queue_empty}, timeout=LAST_EVENTS_S, return_when=asyncio.FIRST_COMPLETED)
        queue_empty.cancel()

    async def _leave(self, problem: ServiceError | None, gone: ClientDisconnected | None) -> None:
        if gone is None:
            await self._close(problem)
        session = self._session
        if session is None:
            return
        if gone is not None and not gone.clean and not session.finished and session.failed is None:
            self._sessions.lost(session, self._number)
        elif self._sessions.connection_of(session) == self._number:
            await self._sessions.drop(session.id)

    async def _close(self, problem: ServiceError | None) -> None:
        """Send the error, if there is one, and close the connection."""
        try:
            if problem is not None and not isinstance(problem, SlowReader):  # that client does not read it
                seq = self._session.outbox.next_seq() if self._session is not None else 1
                await self._send(Error(code=problem.code, message=problem.detail, fatal=True, seq=seq))
            async with asyncio.timeout(SEND_S):
                await self._door.close(problem)
        except (ClientDisconnected, ServiceError, TimeoutError):
            pass

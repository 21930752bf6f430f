"""The talk with one live client, the same through every door: first word, frames in, events out, faults, farewell."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from app.services.captions.commands import (
    Ack,
    Close,
    Command,
    Flush,
    Landmarks,
    LiveError,
    Pause,
    Picture,
    Ping,
    Start,
    Stop,
)
from app.services.captions.hub import LiveHub
from app.services.captions.session import TOO_SLOW, LiveSession
from app.services.conversation.outbox import Event, SlowReader

#: A client may open the talk with `start`; when it says nothing for so long, the defaults apply.
FIRST_WORD_S = 1.0
#: A message that the network does not take for so long is not being read.
SEND_S = 20.0
STATS_S, FIRST_STATS_S = 5.0, 1.0
#: What is queued when a session ends gets so long to be handed out.
LAST_WORDS_S = 2.0
#: Messages a client may send at once, and per second in the long run: three cameras' worth.
BURST, RATE = 400, 100.0
MAX_FAULTS = 200


class HungUp(Exception):
    """The client is gone. orderly: it said farewell and will not come back for the rest."""

    def __init__(self, orderly: bool) -> None:
        super().__init__("the client is gone")
        self.orderly = orderly


class Door(Protocol):
    """One encoding of the talk. All methods raise HungUp when the client is gone."""

    async def receive(self) -> Command:
        """The next message. Raises LiveError for one that cannot be read. May be cancelled."""
        ...

    async def send(self, event: Event) -> None:
        """Returns when the connection has taken the event, so that who does not read is noticed."""
        ...

    async def close(self, code: Close) -> None: ...


class _Allowance:
    """Token bucket over a client's messages."""

    def __init__(self) -> None:
        self._tokens, self._at = float(BURST), time.monotonic()

    def spend(self) -> bool:
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + (now - self._at) * RATE)
        self._at = now
        self._tokens -= 1
        return self._tokens >= 0


class _StartOver(Exception):
    """A `start` that came after the defaults had been taken for granted, before any frame."""

    def __init__(self, start: Start) -> None:
        super().__init__("start over")
        self.start = start


class Conversation:
    """One connection and the session it carries. address: of the client, for limits; None where there is none.
    first_word_s: how long a `start` is waited for before the defaults apply. predictions: answer every frame."""

    def __init__(
        self,
        door: Door,
        hub: LiveHub,
        address: str | None = None,
        first_word_s: float = FIRST_WORD_S,
        predictions: bool = False,
    ) -> None:
        self._door, self._hub, self._address, self._first_word_s = door, hub, address, first_word_s
        self._predictions = predictions
        self._session: LiveSession | None = None
        self._number = 0
        self._started = False  # the client said `start`
        self._allowance = _Allowance()
        self._faults = 0

    async def run(self) -> None:
        """Talk until either side ends it; the session is then dropped, or kept for a client that may come back."""
        problem: LiveError | None = None
        gone: HungUp | None = None
        try:
            with self._hub.guest(self._address):
                try:
                    first, fault = await self._first_word()
                    self._started = isinstance(first, Start)
                    await self._open(first if isinstance(first, Start) else Start())
                    if fault is not None:
                        self._complain(fault)
                    command = None if isinstance(first, Start) else first
                    while True:
                        try:
                            await self._talk(command)
                            break
                        except _StartOver as again:
                            self._started = True
                            await self._open(again.start)
                            command = None
                except LiveError as refused:
                    problem = refused
                    if self._session is None:
                        self._hub.metrics.live_refused.labels(refused.code).inc()
                except SlowReader:
                    problem = TOO_SLOW
                except HungUp as farewell:
                    gone = farewell
                finally:
                    await self._leave(problem, gone)
        except LiveError as refused:  # not even let in
            self._hub.metrics.live_refused.labels(refused.code).inc()
            await self._farewell(refused)

    async def _first_word(self) -> tuple[Command | None, LiveError | None]:
        """The first message, or what is wrong with it where the session can begin all the same; neither after a while.

        Raises LiveError for one that cannot begin a session, such as a `start` with wrong settings.
        """
        try:
            async with asyncio.timeout(self._first_word_s):
                return await self._next_command(), None
        except TimeoutError:
            return None, None
        except LiveError as fault:
            if fault.close is not None:
                raise
            return None, fault

    def _complain(self, fault: LiveError) -> None:
        """Name a message that could not be used; the session goes on. Raises LiveError when there are too many."""
        assert self._session is not None
        self._faults += 1
        if self._faults > MAX_FAULTS:
            raise LiveError("too_many_faults", "Too many messages could not be used.", Close.POLICY)
        self._session.complain(LiveError(fault.code, fault.message))

    async def _open(self, start: Start) -> None:
        if self._session is not None:
            await self._hub.drop(self._session.id)
            self._session = None
        self._session = self._hub.open(start) if start.resume is None else self._hub.resume(start.resume)
        self._session.predictions = self._predictions
        self._number = self._hub.connection_of(self._session)

    async def _next_command(self) -> Command:
        command = await self._door.receive()
        if not self._allowance.spend():
            raise LiveError("too_fast", f"More than {RATE:g} messages a second; send fewer frames.", Close.TOO_FAST)
        return command

    async def _talk(self, command: Command | None) -> None:
        """Both directions at once until one of them ends."""
        sender = asyncio.create_task(self._send_events())
        watcher = asyncio.create_task(self._watch(sender))
        receiver = asyncio.create_task(self._receive(command))
        try:
            await asyncio.wait({receiver, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in (watcher, receiver):
                if not task.done():
                    task.cancel()
            outcomes = await asyncio.gather(watcher, receiver, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, Exception):
                    raise outcome
        except (HungUp, _StartOver):
            raise
        except LiveError as problem:
            if problem is not TOO_SLOW:
                await self._last_words(sender)
            raise
        else:
            await self._last_words(sender)
        finally:
            for task in (sender, watcher, receiver):
                task.cancel()
            await asyncio.gather(sender, watcher, receiver, return_exceptions=True)

    async def _receive(self, command: Command | None) -> None:
        assert self._session is not None
        while True:
            try:
                if command is not None and await self._obey(command):
                    return
                command = await self._next_command()
            except LiveError as problem:
                command = None
                if problem.close is not None and problem.close is not Close.BAD_START:
                    raise
                self._complain(problem)
            self._session.last_heard = time.monotonic()

    async def _obey(self, command: Command) -> bool:
        """Do what the client says; True when it said that it ends."""
        session = self._session
        assert session is not None
        match command:
            case Picture() | Landmarks():
                self._hub.take(session, command)
            case Start():
                if not self._started and session.counters.received == 0:
                    raise _StartOver(command)
                raise LiveError("bad_start", "The session runs already: 'start' comes before everything else.")
            case Flush():
                session.flush()
            case Pause():
                session.paused = command.paused
                session.flush()
            case Ack():
                session.outbox.acknowledge(command.seq)
            case Ping():
                session.tell("pong")
            case Stop():
                await self._hub.finish(session)
                return True
        return False

    async def _send_events(self) -> None:
        assert self._session is not None
        while True:
            self._check_mine(self._session)  # what comes now may be for another connection
            await self._send(await self._session.outbox.next())

    async def _send(self, event: Event) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._door.send(event)
        except TimeoutError:
            raise TOO_SLOW from None
        self._hub.metrics.live_events.labels(event["type"]).inc()

    async def _watch(self, sender: asyncio.Task[None]) -> None:
        """Ends with the fault that ends the session, whoever noticed it; sends statistics meanwhile."""
        session = self._session
        assert session is not None
        told = time.monotonic() - STATS_S + FIRST_STATS_S
        while True:
            await asyncio.wait({sender}, timeout=0.2)
            if sender.done():
                sender.result()
                return
            if session.failed is not None:
                raise session.failed
            self._check_mine(session)
            if time.monotonic() - told >= STATS_S:
                told = time.monotonic()
                session.outbox.put(session.stats())

    def _check_mine(self, session: LiveSession) -> None:
        if self._hub.connection_of(session) != self._number:
            raise LiveError("taken_over", "The session goes on in another connection.", Close.POLICY)

    async def _last_words(self, sender: asyncio.Task[None]) -> None:
        """What is queued is handed out before the end, if the client takes it."""
        assert self._session is not None
        queue_empty = asyncio.ensure_future(self._session.outbox.sent())
        await asyncio.wait({sender, queue_empty}, timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
        queue_empty.cancel()

    async def _leave(self, problem: LiveError | None, gone: HungUp | None) -> None:
        if gone is None:
            await self._farewell(problem)
        session = self._session
        if session is None:
            return
        if gone is not None and not gone.orderly and not session.finished and session.failed is None:
            self._hub.lost(session, self._number)
        elif self._hub.connection_of(session) == self._number:
            await self._hub.drop(session.id)

    async def _farewell(self, problem: LiveError | None) -> None:
        """The fault, if there is one, and the close frame."""
        try:
            if problem is not None and problem is not TOO_SLOW:  # who does not read cannot be told why
                seq = self._session.outbox.next_seq() if self._session is not None else 1
                error = {"type": "error", "code": problem.code, "message": problem.message, "fatal": True, "seq": seq}
                await self._send(error)
            async with asyncio.timeout(SEND_S):
                await self._door.close(Close.NORMAL if problem is None else (problem.close or Close.INTERNAL))
        except (HungUp, LiveError, TimeoutError):
            pass

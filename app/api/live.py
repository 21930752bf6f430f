"""The WebSocket door of live captions: messages in, events out, faults as an `error` event before the close frame."""

from __future__ import annotations

import asyncio
import json
import time
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket
from loguru import logger
from starlette.websockets import WebSocketDisconnect

from app.services.live.hub import LiveHub
from app.services.live.outbox import Event, SlowReader
from app.services.live.protocol import (
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
    parse_binary,
    parse_text,
)
from app.services.live.session import TOO_SLOW, LiveSession

router = APIRouter()
SUBPROTOCOL = "glossline.v1"
#: Larger messages end the session: a picture or a second of landmarks is far smaller.
MAX_MESSAGE = 1 << 20
#: A client may open the talk with `start`; when it says nothing for so long, the defaults apply.
FIRST_WORD_S = 1.0
#: A message that the network does not take for so long is not being read.
SEND_S = 20.0
STATS_S = 5.0
#: What is queued when a session ends gets so long to be handed out.
LAST_WORDS_S = 2.0
#: Messages a client may send at once, and per second in the long run: three cameras' worth.
BURST, RATE = 400, 100.0
MAX_FAULTS = 200
#: Close code of a connection that broke without a farewell.
ABNORMAL = 1006


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


@router.websocket("/api/ws/stream")
@router.websocket("/ws/stream")
async def stream(websocket: WebSocket) -> None:
    """Live captions; the messages are described in docs/live.md."""
    if not _same_origin(websocket):
        await websocket.close(Close.POLICY)
        return
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    await _Connection(websocket, websocket.app.state.live).run()


def _same_origin(websocket: WebSocket) -> bool:
    """Browsers send cookies and reach local services from any page, so only pages of this host and those named in
    CORS_ORIGINS may open a socket; programs send no Origin."""
    origin = websocket.headers.get("origin")
    if origin is None:
        return True
    allowed = websocket.app.state.service.settings.cors_origins
    return "*" in allowed or origin in allowed or urlsplit(origin).netloc == websocket.headers.get("host", "")


class _Connection:
    """One connection and the session it carries."""

    def __init__(self, websocket: WebSocket, hub: LiveHub) -> None:
        self._ws, self._hub = websocket, hub
        self._session: LiveSession | None = None
        self._number = 0
        self._allowance = _Allowance()
        self._faults = 0

    async def run(self) -> None:
        sender: asyncio.Task[None] | None = None
        problem: LiveError | None = None
        gone: int | None = None  # close code of a client that left
        try:
            first, fault = await self._first_word()
            self._open(first)
            if fault is not None:
                self._complain(fault)
            sender = asyncio.create_task(self._send_events())
            watcher = asyncio.create_task(self._watch(sender))
            receiver = asyncio.create_task(self._receive(first))
            done, pending = await asyncio.wait({receiver, watcher}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            for task in done:
                task.result()
        except LiveError as refused:
            problem = refused
        except SlowReader:
            problem = TOO_SLOW
        except WebSocketDisconnect as farewell:
            gone = farewell.code
        except RuntimeError as broken:  # what Starlette raises for a socket that is closed already
            gone = ABNORMAL
            logger.debug("live connection broke: {}", broken)
        finally:
            await self._leave(sender, problem, gone)

    async def _first_word(self) -> tuple[Command | None, LiveError | None]:
        """The first message, or what is wrong with it where the session can begin all the same; neither after a while.

        Raises LiveError for one that cannot begin a session, such as a `start` with wrong settings.
        """
        try:
            async with asyncio.timeout(FIRST_WORD_S):
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

    def _open(self, first: Command | None) -> None:
        start = first if isinstance(first, Start) else Start()
        if start.resume is not None:
            self._session = self._hub.resume(start.resume)
        else:
            self._session = self._hub.open(start)
        self._number = self._hub.connection_of(self._session)

    async def _next_command(self) -> Command:
        """The next message. Raises LiveError for one that cannot be read, WebSocketDisconnect."""
        message = await self._ws.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code") or Close.NORMAL)
        if not self._allowance.spend():
            raise LiveError("too_fast", f"More than {RATE:g} messages a second; send fewer frames.", Close.TOO_FAST)
        data, text = message.get("bytes"), message.get("text")
        if len(data if data is not None else text or "") > MAX_MESSAGE:
            raise LiveError("too_big", f"A message may have {MAX_MESSAGE} bytes.", Close.TOO_BIG)
        return parse_binary(data) if data is not None else parse_text(text or "")

    async def _receive(self, first: Command | None) -> None:
        assert self._session is not None
        command: Command | None = None if isinstance(first, Start) else first
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
            await self._send(await self._session.outbox.next())

    async def _send(self, event: Event) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await self._ws.send_text(json.dumps(event, separators=(",", ":"), ensure_ascii=False))
        except TimeoutError:
            raise TOO_SLOW from None

    async def _watch(self, sender: asyncio.Task[None]) -> None:
        """Ends with the fault that ends the session, whoever noticed it; sends statistics meanwhile."""
        session = self._session
        assert session is not None
        told = time.monotonic()
        while True:
            await asyncio.wait({sender}, timeout=0.2)
            if sender.done():
                sender.result()
                return
            if session.failed is not None:
                raise session.failed
            if self._hub.connection_of(session) != self._number:
                raise LiveError("taken_over", "The session goes on in another connection.", Close.POLICY)
            if time.monotonic() - told >= STATS_S:
                told = time.monotonic()
                session.outbox.put(session.stats())

    async def _leave(self, sender: asyncio.Task[None] | None, problem: LiveError | None, gone: int | None) -> None:
        session = self._session
        if session is not None and sender is not None and gone is None and problem is not TOO_SLOW:
            queue_empty = asyncio.ensure_future(session.outbox.sent())
            await asyncio.wait({sender, queue_empty}, timeout=LAST_WORDS_S, return_when=asyncio.FIRST_COMPLETED)
            queue_empty.cancel()
        if sender is not None:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        if gone is None:
            await self._farewell(problem)
        if session is not None:
            taken_over = self._hub.connection_of(session) != self._number
            if gone not in (None, Close.NORMAL) and not session.finished and session.failed is None:
                self._hub.lost(session, self._number)
            elif not taken_over:
                await self._hub.drop(session.id)

    async def _farewell(self, problem: LiveError | None) -> None:
        """The fault, if there is one, and the close frame."""
        try:
            if problem is not None and problem is not TOO_SLOW:  # who does not read cannot be told why
                seq = self._session.outbox.next_seq() if self._session is not None else 1
                error = {"type": "error", "code": problem.code, "message": problem.message, "fatal": True, "seq": seq}
                await self._send(error)
            code = Close.NORMAL if problem is None else (problem.close or Close.INTERNAL)
            async with asyncio.timeout(SEND_S):
                await self._ws.close(code)
        except (RuntimeError, WebSocketDisconnect, LiveError, TimeoutError):
            pass

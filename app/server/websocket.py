"""uvicorn's WebSocket protocol with bounds: frames a second, fragments of a message, and what a client leaves unread.

The application sees messages, never frames, so empty fragments, pings and pongs are counted here, before they are put
together.
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from app.core.limits import RateLimit
from app.server.connections import Connection

#: Frames of one connection a second in the long run, and at once; control frames and fragments included. The limit on
#: messages (services/conversation) is far below: this one only slows reading down.
FRAMES_PER_S, BURST_FRAMES = 1000.0, 4000.0
MAX_FRAGMENTS = 4096
#: The parser gets data in pieces of this size: at most 1365 frames without checking the allowance.
PIECE = 8 * 1024
#: Bytes in a connection's buffers, here and in the kernel, before `send` waits for the client to read: otherwise
#: megabytes of captions are buffered before it is noticed that the client does not read them.
SEND_BUFFER = 64 * 1024
#: Pongs do not wait; a connection with this many unread bytes is aborted instead of answering another ping.
MAX_UNREAD = 4 * SEND_BUFFER
HANDSHAKE_S = 30.0


class BoundedWebSocket(Connection, WebSocketsSansIOProtocol):
    """One WebSocket connection. A client that sends frames too fast is read more slowly; nothing of it is lost."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._began = self.last_data
        self._pending = bytearray()  # received, not parsed yet
        self._rate = RateLimit(BURST_FRAMES, FRAMES_PER_S)
        self._feeding: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=SEND_BUFFER)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._feeding is not None:
            self._feeding.cancel()
        self.read_paused = True  # there is nothing left to pause
        while self._pending and self._rate.wait_s == 0 and self.conn.parser_exc is None:
            self._parse_piece()  # what had arrived before the connection broke
        self._pending.clear()
        super().connection_lost(exc)

    @property
    def unfinished(self) -> bool:
        return not self.handshake_complete

    def check(self, now: float) -> None:
        """End the connection if a deadline has passed."""
        late = not self.handshake_complete and now - self._began > HANDSHAKE_S
        if late or self.unread(now):
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self.last_data = time.monotonic()
        self._pending += data
        self._feed()

    def _feed(self) -> None:
        """Parse what is pending while the application keeps up and the allowance lasts; later for the rest."""
        while self._pending and not self.transport.is_closing():
            wait_s = self._rate.wait_s
            if wait_s > 0 or self.read_paused:
                self.transport.pause_reading()
                if wait_s > 0 and self._feeding is None:
                    self._feeding = self.loop.call_later(wait_s, self._feed_again)
                return
            self._parse_piece()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse_piece(self) -> None:
        piece = bytes(self._pending[:PIECE])
        del self._pending[:PIECE]
        super().data_received(piece)

    def _feed_again(self) -> None:
        self._feeding = None
        self._feed()

    async def receive(self) -> Any:
        message = await super().receive()
        if self._pending:
            self._feed()
        return message

    def handle_text(self, event: Frame) -> None:
        self._rate.count()
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        self._rate.count()
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        self._rate.count()
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1008, f"a message is limited to {MAX_FRAGMENTS} fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_pong(self, event: Frame) -> None:
        self._rate.count()
        super().handle_pong(event)

    def handle_ping(self) -> None:
        self._rate.count()
        if self.transport.is_closing():
            self.conn.data_to_send()  # the peer is gone, so no pong
        elif self.transport.get_write_buffer_size() > MAX_UNREAD:
            self.transport.abort()
        else:
            super().handle_ping()

    async def send(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            self.writable.set()  # a client that does not read finds the close code behind the rest
        await super().send(message)
        if self._pending:
            self._feed()  # a close lets reading go on

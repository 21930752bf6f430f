"""uvicorn's HTTP protocol with bounds on what a client may leave unfinished: bytes, header fields and seconds.

httptools keeps every header line, trailer line and unfinished value until the request is complete, without a limit.
The bytes that it holds back are therefore counted here, whatever they are: URL, header, chunk extension or trailer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server.connections import Connection

#: Bytes of URL, headers, trailers or chunk framing in one piece; servers commonly take 8 to 64 KiB.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 256
#: Requests queued behind the first one of their connection (pipelining).
MAX_PIPELINED = 32
#: The parser gets data in pieces of this size, so that little more than MAX_HEAD is ever parsed.
PIECE = 32 * 1024
#: Seconds that a body gets to end after its answer has been sent.
LINGER_S = 10.0


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()
    #: The answer has been sent, but the body is still arriving.
    LINGERING = auto()


class _Refused(Exception):
    """Raised in a callback of the parser to stop it."""


class _CycleTransport:
    """A connection as the answer to a request sees it: closing it is up to the protocol."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedHttp(Connection, HttpToolsProtocol):
    """One HTTP connection. Over a limit, the answer is 431 or 408 in plain text, and the connection is closed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = _Phase.HEAD
        self._since = self.last_data  # of the phase
        self._undelivered = 0  # bytes that the parser holds back
        self._upgraded = False
        self._refusal: tuple[HTTPStatus, str] | None = None
        self._half_closed = False  # nothing more is sent

    def data_received(self, data: bytes) -> None:
        self.last_data = time.monotonic()
        if self._phase is _Phase.HEAD and self._undelivered == 0:
            self._since = self.last_data
        for start in range(0, len(data), PIECE):
            piece = data if len(data) <= PIECE else data[start : start + PIECE]
            self._undelivered += len(piece)
            super().data_received(piece)
            if self._upgraded or self.transport.is_closing():
                return
            if self._undelivered > MAX_HEAD:
                self._refuse(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    f"The headers or trailers have more than {MAX_HEAD >> 10} KiB.",
                )
                return

    def handle_websocket_upgrade(self) -> None:
        self._upgraded = True
        self.table.leave(self)
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise self._stop(HTTPStatus.BAD_REQUEST, f"More than {MAX_PIPELINED} requests are waiting for answers.")
        self._enter(_Phase.HEAD)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is not _Phase.HEAD:
            return  # a trailer: trailers are not read, and the application already has the request's headers
        if len(self.headers) >= MAX_FIELDS:
            raise self._stop(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request has more than {MAX_FIELDS} header fields."
            )
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._enter(_Phase.BODY)
        self._undelivered = 0
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.transport is self.transport:  # none for an upgrade
            self.cycle.transport = cast(Any, _CycleTransport(self.transport, self._close_after_answer))

    def on_body(self, body: bytes) -> None:
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._undelivered = 0
        # After LINGERING the next request begins; otherwise the answer is still to come.
        self._enter(_Phase.HEAD if self._phase is _Phase.LINGERING else _Phase.COMPLETE)
        super().on_message_complete()
        if self._half_closed:
            self.transport.close()

    def on_response_complete(self) -> None:
        if self._phase is _Phase.COMPLETE and not self.pipeline:
            self._enter(_Phase.HEAD)
        elif self._phase is _Phase.BODY and not self.pipeline:
            self._enter(_Phase.LINGERING)
        super().on_response_complete()

    def _close_after_answer(self) -> None:
        """Close the connection. While a body still arrives, only the sending side: a full close would reset the
        connection, and a client or a proxy that is sending would lose the answer. What arrives is dropped."""
        if self._phase is _Phase.BODY and self.transport.can_write_eof() and not self.transport.is_closing():
            self._half_closed = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def _enter(self, phase: _Phase) -> None:
        self._phase, self._since = phase, time.monotonic()

    @property
    def unfinished(self) -> bool:
        return self._phase is not _Phase.COMPLETE

    def check(self, now: float) -> None:
        """End the connection if a deadline has passed."""
        settings = self.table.settings
        if self.unread(now):
            self.transport.abort()
        elif self.transport.is_closing() or self.flow.read_paused:
            pass  # the client has nothing to finish now
        elif self._phase is _Phase.HEAD:
            self._check_head(now)
        elif self._phase is _Phase.BODY:
            # Where the application reads the body, it answers 408 at these deadlines; this handles the rest.
            idle_s, whole_s = settings.upload_idle_timeout_s + 5, settings.upload_timeout_s + 5
            if now - self.last_data > idle_s or now - self._since > whole_s:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request body did not arrive in time.")
        elif self._phase is _Phase.LINGERING and now - self._since > LINGER_S:
            self.transport.abort()

    def _check_head(self, now: float) -> None:
        if now - self._since <= self.table.settings.header_timeout_s:
            return
        if self._undelivered:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request headers did not arrive in time.")
        elif self.cycle is None:  # later, uvicorn's keep-alive timer runs
            self.transport.close()

    def _stop(self, status: HTTPStatus, message: str) -> _Refused:
        self._refusal = status, message
        return _Refused(message)

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn when the parser stops, also where a callback here has stopped it."""
        self._refuse(*(self._refusal or (HTTPStatus.BAD_REQUEST, msg)))

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # an answer in the middle of another one would be read as part of it
            return
        body = message.encode("ascii")
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (status.value, status.phrase.encode("ascii"), len(body), body)
        )
        self.transport.close()

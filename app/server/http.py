"""uvicorn's HTTP protocol with bounds on what a client may leave unfinished: bytes, header fields and seconds.

httptools keeps every header line, trailer line and unfinished value until the request is complete, without a limit.
What it has taken without handing anything on is therefore counted here, whatever it is: URL, header, chunk extension or
trailer.
"""

from __future__ import annotations

import time
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.server.connections import Connection, Connections, WriteDeadline

#: Bytes of URL, headers, trailers or chunk framing in one piece; servers commonly take 8 to 64 KiB.
MAX_HEAD = 64 * 1024
MAX_FIELDS = 256
#: Requests that wait behind the first one of their connection (pipelining).
MAX_PIPELINED = 32
#: The parser gets data in pieces of this size, so that little more than MAX_HEAD is ever parsed.
PIECE = 32 * 1024
#: A body that goes on after its answer has been sent gets this long to end.
LINGER_S = 10.0


class _Phase(Enum):
    HEAD = auto()
    BODY = auto()
    COMPLETE = auto()
    #: The answer has been sent, and the body goes on.
    LINGERING = auto()


class _Refused(Exception):
    """Raised inside a callback of the parser to stop it."""


class BoundedHttp(HttpToolsProtocol):
    """One HTTP connection. Where a bound is passed, the answer is 431 or 408 in plain text, and the connection ends."""

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer: str | None = None
        self.last_data = time.monotonic()
        self._table = connections
        self._phase = _Phase.HEAD
        self._since = self.last_data  # of the phase
        self._undelivered = 0  # bytes the parser has taken and not handed on
        self._upgraded = False
        self._refusal: tuple[HTTPStatus, str] | None = None
        self._write_deadline = WriteDeadline()

    # -- the connection -----------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.peer = self.client[0] if self.client is not None else None
        self._table.join(cast(Connection, self))

    def connection_lost(self, exc: Exception | None) -> None:
        self._table.leave(cast(Connection, self))
        super().connection_lost(exc)

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
        self._table.leave(cast(Connection, self))
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        self._write_deadline.paused_at = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._write_deadline.paused_at = None
        super().resume_writing()

    # -- the parser ---------------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise self._stop(HTTPStatus.BAD_REQUEST, f"More than {MAX_PIPELINED} requests are waiting for answers.")
        self._enter(_Phase.HEAD)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is not _Phase.HEAD:
            return  # a trailer: nobody reads them, and the request's headers are with the application already
        if len(self.headers) >= MAX_FIELDS:
            raise self._stop(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The request has more than {MAX_FIELDS} header fields."
            )
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._enter(_Phase.BODY)
        self._undelivered = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._undelivered = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._undelivered = 0
        # After LINGERING the next request begins; otherwise the answer is still to come.
        self._enter(_Phase.HEAD if self._phase is _Phase.LINGERING else _Phase.COMPLETE)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._phase is _Phase.COMPLETE and not self.pipeline:
            self._enter(_Phase.HEAD)
        elif self._phase is _Phase.BODY and not self.pipeline:
            self._enter(_Phase.LINGERING)
        super().on_response_complete()

    def _enter(self, phase: _Phase) -> None:
        self._phase, self._since = phase, time.monotonic()

    # -- the bounds ---------------------------------------------------------------------------------------------------

    @property
    def unfinished(self) -> bool:
        return self._phase is not _Phase.COMPLETE

    def check(self, now: float) -> None:
        """End the connection if a deadline has passed."""
        limits = self._table.limits
        if self._write_deadline.passed(self.transport, now):
            self.transport.abort()
        elif self.transport.is_closing() or self.flow.read_paused:
            pass  # no longer, or not now, for the client to finish
        elif self._phase is _Phase.HEAD:
            self._check_head(now)
        elif self._phase is _Phase.BODY:
            # The application answers 408 at these deadlines where it reads the body itself; here is what it leaves.
            if now - self.last_data > limits.body_idle_s + 5 or now - self._since > limits.body_s + 5:
                self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request body did not arrive in time.")
        elif self._phase is _Phase.LINGERING and now - self._since > LINGER_S:
            self.transport.abort()

    def _check_head(self, now: float) -> None:
        if now - self._since <= self._table.limits.header_s:
            return
        if self._undelivered:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request headers did not arrive in time.")
        elif self.cycle is None:  # later, uvicorn's keep-alive timer runs
            self.transport.close()

    def _stop(self, status: HTTPStatus, message: str) -> _Refused:
        self._refusal = status, message
        return _Refused(message)

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser stops, also where a callback here has stopped it."""
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

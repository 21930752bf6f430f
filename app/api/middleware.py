"""Pure ASGI middleware: request ids and log lines, body size limits, security headers."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from loguru import logger
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_response
from app.core.errors import InternalError, MalformedRequest, ServiceError, UploadTooLarge
from app.core.logging import principal_id
from app.core.tracing import request_span

if TYPE_CHECKING:
    from loguru import Logger

#: Where the template of a request's route is in its scope once it has been counted (see request_metrics.py).
ROUTE = "glossline.route"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: Pages load only from this service. Swagger UI sets style attributes, hence 'unsafe-inline' for styles.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

#: Live captions need the camera, live speech the microphone; frames of other origins get neither.
PERMISSIONS_POLICY = "camera=(self), microphone=(self), geolocation=(), display-capture=()"


class RequestContext:
    """Outermost: gives each request and each WebSocket an id, logs one line for it, answers unhandled exceptions with a
    plain 500. The line of a request names its path, in JSON its route as well; never a query string."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["request_id"] = request_id
        caller = principal_id.set("")  # the door that learns it sets it
        serve = self._request if scope["type"] == "http" else self._websocket
        method = scope.get("method", "WEBSOCKET")
        try:
            with logger.contextualize(request_id=request_id), request_span(method, Headers(scope=scope)) as span:
                status = await serve(scope, receive, send, request_id)
                if span is not None:
                    route = str(scope.get(ROUTE, ""))
                    span.update_name(f"{method} {route}".strip())
                    span.set_attributes({"http.request.method": method, "http.route": route})
                    span.set_attribute("http.response.status_code", status)
        finally:
            principal_id.reset(caller)

    async def _request(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Returns the status; 0: the client left before there was an answer."""
        began = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _secure(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:  # noqa: BLE001 - the last place to answer an unexpected error without internals
            logger.exception("unexpected error on {} {}", scope["method"], scope["path"])
            if status == 0:
                await problem_response(InternalError(), request_id)(scope, receive, send_with_id)
        finally:
            answer, method = status or "cancelled", scope["method"]
            line = _line_of(scope, "http_request", began, method=method, status=answer)
            line.info("{} {} {} {:.0f} ms", method, scope["path"], answer, (time.perf_counter() - began) * 1000)
        return status

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> int:
        """Returns the close code."""
        began = time.perf_counter()
        code: int | None = None  # of the side that closed first

        async def noted_receive() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect" and code is None:
                code = message.get("code", 1005)
            return message

        async def noted_send(message: Message) -> None:
            nonlocal code
            if message["type"] == "websocket.close" and code is None:
                code = message.get("code", 1000)
            await send(message)

        try:
            await self._app(scope, noted_receive, noted_send)
        except Exception:
            code = code or 1011
            raise
        finally:
            status = 1006 if code is None else code
            line = _line_of(scope, "websocket", began, method="WEBSOCKET", status=status)
            line.info("WebSocket {} {} {:.1f} s", scope["path"], status, time.perf_counter() - began)
        return status

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A failed start is reported in one message; the server then exits without a traceback."""
        failed = False

        async def send_without_traceback(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = True
                message = {**message, "message": scope["app"].state.startup_problem or message.get("message", "")}
            await send(message)

        try:
            await self._app(scope, receive, send_without_traceback)
        except Exception:
            if not (failed and scope["app"].state.startup_problem):
                raise


def _line_of(scope: Scope, event: str, began: float, **fields: object) -> Logger:
    """The logger with the fields of the line about a request or a WebSocket. route: its template, as in the metrics."""
    duration_ms = round((time.perf_counter() - began) * 1000, 1)
    return logger.bind(event=event, route=scope.get(ROUTE), duration_ms=duration_ms, **fields)


def _secure(headers: MutableHeaders, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    if headers.get("content-type", "").startswith("text/html"):
        headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
    elif "json" in headers.get("content-type", ""):
        headers.setdefault("Cache-Control", "no-store")


class BodyLimit:
    """Refuses a body over the limit of its route: at once by its Content-Length, else as soon as the stream passes the
    limit. The connection is closed with the refusal, so the rest is not read.

    limits: the largest body in bytes of the routes below a path; the longest path that fits counts.
    default: of all other routes, which take no body.
    """

    def __init__(self, app: ASGIApp, limits: Mapping[str, int], default: int = 16 * 1024) -> None:
        self._app = app
        self._limits = sorted(limits.items(), key=lambda item: -len(item[0]))
        self._default = default

    def _too_large(self, limit: int) -> UploadTooLarge:
        if limit < 2**20:
            said = f"{limit / 2**10:g} KiB, the limit of this route. Send a smaller one."
        else:
            said = f"{limit / 2**20:g} MiB, the limit of this service. Send a shorter or smaller video."
        return UploadTooLarge(f"The body is larger than {said}", headers={"Connection": "close"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = next((limit for start, limit in self._limits if scope["path"].startswith(start)), self._default)
        refusal = self._by_length(Headers(scope=scope).get("content-length"), limit)
        if refusal is not None:
            await problem_response(refusal, scope.get("request_id"))(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > limit:
                    raise self._too_large(limit)
            return message

        await self._app(scope, counted, send)

    def _by_length(self, length: str | None, limit: int) -> ServiceError | None:
        if length is None:
            return None
        if not length.isascii() or not length.isdigit():
            return MalformedRequest("The header Content-Length is not a number.", headers={"Connection": "close"})
        return self._too_large(limit) if int(length) > limit else None

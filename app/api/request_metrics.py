"""Pure ASGI middleware that counts and times requests and WebSockets by route, never by path."""

from __future__ import annotations

import time

from fastapi.routing import iter_route_contexts
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware import ROUTE
from app.monitoring.metrics import Metrics

UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Codes of the protocol; of the private ones only those that this service sends. A client may send any other.
_PROTOCOL_CODES = frozenset({*range(1000, 1004), *range(1005, 1016)})


class Measure:
    """Must be outside of everything that answers or refuses requests, and inside of what needs the server's own
    `send`, because this wraps it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics
        self._mounts: list[str] = []
        self._fixed: frozenset[str] | None = None  # routes without parameters, known when the application is complete

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._request(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = "cancelled"  # the client disconnected before there was an answer

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if status == "cancelled":
                status = "500"
            raise
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = scope[ROUTE] = self._route(scope)
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.request_seconds.labels(method, route).observe(time.perf_counter() - began)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened: str | None = None  # its route
        code: str | None = None

        async def counted_receive() -> Message:
            nonlocal code
            message = await receive()
            if message["type"] == "websocket.disconnect" and code is None:
                given = message.get("code", 1005)
                code = str(given) if given in _PROTOCOL_CODES else "other"
            return message

        async def said(message: Message) -> None:
            nonlocal opened, code
            if message["type"] == "websocket.accept":
                opened = scope[ROUTE] = self._route(scope)
                self._metrics.websockets.labels(opened).inc()
                self._metrics.websockets_open.labels(opened).inc()
            elif message["type"] == "websocket.close" and code is None:
                code = str(int(message.get("code") or 1000))
            await send(message)

        try:
            await self._app(scope, counted_receive, said)
        except Exception:
            code = code or "1011"
            raise
        finally:
            if opened is None:
                route = scope[ROUTE] = self._route(scope)
                self._metrics.websockets_closed.labels(route, "refused").inc()
            else:
                self._metrics.websockets_open.labels(opened).dec()
                self._metrics.websockets_closed.labels(opened, code or "1006").inc()

    def _route(self, scope: Scope) -> str:
        """Template of the route; also of requests that were answered on their way to it, such as bodies too large."""
        route: str | None = getattr(scope.get("route"), "path", None)
        if route is not None:
            return route
        if self._fixed is None:
            contexts = iter_route_contexts(scope["app"].routes)
            self._fixed = frozenset(c.path for c in contexts if c.path is not None and "{" not in c.path)
            self._mounts = [route.path for route in scope["app"].routes if isinstance(route, Mount)]
        path: str = scope["path"]
        if path in self._fixed:
            return path
        return next((mount for mount in self._mounts if path.startswith(f"{mount}/")), UNMATCHED)

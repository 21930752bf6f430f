"""Which hosts and origins may reach the service: one policy for HTTP, WebSocket and Socket.IO.

A page of another site can make a visitor's browser send requests to a service on the visitor's machine or network. Two
headers that pages cannot forge identify such requests. `Host` is the name that the browser opened: a foreign name
that resolves to this machine (DNS rebinding) is refused unless ALLOWED_HOSTS lists it. `Origin` is the page that sends
the request: it must be a page of this service or listed in CORS_ORIGINS. Programs send no Origin and are not affected.
"""

from __future__ import annotations

from collections.abc import Sequence

from loguru import logger
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import refuse
from app.core.errors import HostRefused, MalformedRequest, OriginRefused, ServiceError
from app.core.limits import RateLimit
from app.core.network import DEFAULT_PORTS, Address, Origin, parse_host, parse_origin

#: Reveals nothing, so orchestrators may probe it under any host name.
LIVENESS = "/api/health/live"
#: Every request below it belongs to a live session, whatever its method.
SESSIONS = "/socket.io"
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: A hostile page could otherwise fill the log.
_LOG_LINES_PER_MINUTE = 20


class OriginPolicy:
    """Decides whether the Host and Origin of a request are acceptable.

    hosts: names to accept besides loopback names and IP addresses; "*.name" for all names below it, "*" for any.
    origins: origins to accept besides the service's own, "*" for any.
    """

    def __init__(self, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self._any_host = "*" in hosts
        self._hosts = frozenset(hosts)
        self._suffixes = (".localhost", *(host[1:] for host in hosts if host.startswith("*.")))
        self._any_origin = "*" in origins
        self._origins = frozenset(parsed for origin in origins if (parsed := parse_origin(origin)) is not None)

    def refusal(self, scope: Scope) -> ServiceError | None:
        """Why this HTTP or WebSocket request is refused; None if it is accepted."""
        if scope["path"] == LIVENESS:
            return None
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        host = parse_host(given[0]) if len(given) == 1 else None
        if given and host is None:
            return MalformedRequest(
                "The header Host is not a host name or an IP address with an optional port.",
                headers={"Connection": "close"},
            )
        if host is not None and not self._accepts_host(host):
            return HostRefused(
                f"Host {host.host} refused: add it to ALLOWED_HOSTS if the service should answer under that name."
            )
        return self._origin_refusal(scope, headers, host) if _needs_origin(scope, headers) else None

    def _accepts_host(self, address: Address) -> bool:
        """IP addresses are always accepted: a browser sends one only if the address itself was opened, so there was no
        name that DNS could rebind."""
        host = address.host
        return (
            self._any_host
            or address.is_ip
            or address.is_loopback
            or host in self._hosts
            or host.endswith(self._suffixes)
        )

    def _origin_refusal(self, scope: Scope, headers: Headers, host: Address | None) -> OriginRefused | None:
        if self._any_origin:
            return None
        given = headers.getlist("origin")
        if not given:
            site = headers.get("sec-fetch-site", "none")
            if site in ("same-origin", "none"):
                return None
            return OriginRefused(
                f"Request without an Origin refused: it was sent by a page of another site ({site[:20]})."
            )
        origin = parse_origin(given[0]) if len(given) == 1 else None
        if origin is None:
            return OriginRefused(f"Origin {given[0][:100]} refused: only http and https origins can be accepted.")
        if origin in self._origins or same_origin(origin, host, scope):
            return None
        return OriginRefused(
            f"Origin {given[0][:300]} refused: add it to CORS_ORIGINS if its pages may use this service."
        )


def _needs_origin(scope: Scope, headers: Headers) -> bool:
    if scope["type"] == "websocket" or scope["path"].startswith(SESSIONS) or scope["method"] in _CHANGING:
        return True
    return scope["method"] == "OPTIONS" and "access-control-request-method" in headers


def same_origin(origin: Origin, host: Address | None, scope: Scope) -> bool:
    """Whether the origin is this service itself, reached as `host`.

    An https page is accepted where the request arrived by http, because TLS may end at a proxy; the reverse is not.
    """
    if host is None or (origin.scheme == "http" and scope["scheme"] in ("https", "wss")):
        return False
    port, address = DEFAULT_PORTS[origin.scheme], origin.address
    return address.host == host.host and (address.port or port) == (host.port or port)


class CheckOrigin:
    """ASGI middleware: refuses what the policy refuses and logs which setting would allow it."""

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy
        self._log = RateLimit(_LOG_LINES_PER_MINUTE, _LOG_LINES_PER_MINUTE / 60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._policy.refusal(scope) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        if self._log.allows():
            logger.warning("{}: {}", scope["path"], refusal.detail)
        await refuse(refusal, scope, receive, send)

"""Puts the limits of this package into a uvicorn server, whichever command started it.

`python -m app serve`, `uvicorn app.main:app` and each worker of either one call this when the application starts.
uvicorn does not pass itself to the application, but its signal handlers are methods of its server, and it reads the
protocol class from its configuration for every connection, so a change at the start applies to all of them.
"""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import Any, cast

import uvicorn
from loguru import logger
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from app.core.network import AddressList
from app.core.settings import Settings
from app.server.connections import Connections
from app.server.http import BoundedHttp
from app.server.websocket import BoundedWebSocket

#: Seconds that running requests get to finish after SIGTERM.
GRACE_S = 20
#: Larger WebSocket messages are refused by the application with a reason; this bounds what it has to hold for that.
MAX_WS_MESSAGE = 2 << 20
_UVICORN_PROXIES = "127.0.0.1,::1"


def protect_server(settings: Settings) -> None:
    """Apply the limits to the running server. Under a server other than uvicorn, warn that they are missing."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    if not isinstance(server, uvicorn.Server):
        logger.warning(
            "This server is not uvicorn, or runs outside the main thread: unfinished requests, WebSocket frames and "
            "slow readers are limited only by its own settings. Use `python -m app serve` or `uvicorn app.main:app`."
        )
        return
    protect(server.config, settings)


def protect(config: uvicorn.Config, settings: Settings) -> None:
    """The same for a configuration that is loaded (`config.load()`)."""
    proxies = _trusted_proxies(config, settings)
    connections = Connections(settings, AddressList(proxies))
    config.http_protocol_class = cast(Any, partial(BoundedHttp, connections=connections))
    if config.ws_protocol_class is not None:
        config.ws_protocol_class = cast(Any, partial(BoundedWebSocket, connections=connections))
    config.ws_max_size = min(config.ws_max_size, MAX_WS_MESSAGE)
    config.ws_ping_interval = settings.ping_interval_s
    config.ws_ping_timeout = settings.ping_timeout_s
    config.ws_per_message_deflate = False  # costs time and memory; captions are small, images already compressed
    if config.timeout_graceful_shutdown is None:
        config.timeout_graceful_shutdown = GRACE_S
    app = config.loaded_app
    if isinstance(app, ProxyHeadersMiddleware):
        app = cast(Any, app.app)
        config.loaded_app = ProxyHeadersMiddleware(app, trusted_hosts=proxies) if proxies else app


def _trusted_proxies(config: uvicorn.Config, settings: Settings) -> list[str]:
    """uvicorn's own option if one was given, otherwise the setting: uvicorn's default would let every program on
    this machine claim any address."""
    given = config.forwarded_allow_ips
    if given in (_UVICORN_PROXIES, os.environ.get("FORWARDED_ALLOW_IPS")):
        return settings.trusted_proxies
    return [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else list(given)

"""A running application: without a socket, and behind a real one for clients that need it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app
from app.server.protect import protect


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    """The application with these settings, started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_of(application: FastAPI) -> httpx.AsyncClient:
    """A client that talks to a running application without a socket."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://glossline", timeout=60)


@asynccontextmanager
async def served(application: FastAPI) -> AsyncIterator[str]:
    """Host and port of `application`, whose lifespan runs already."""
    config = uvicorn.Config(application, port=0, lifespan="off", log_config=None)
    config.load()
    protect(config, application.state.services.settings)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers nothing to wait for
        await asyncio.sleep(0.01)
    try:
        yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@contextmanager
def in_a_thread(settings: Settings) -> Iterator[str]:
    """Address of an application of its own, for tests that have no event loop."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.05)
            assert thread.is_alive(), "the server did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(30)

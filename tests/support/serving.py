"""An application behind a real socket, for clients that need one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI

from app.server.protect import protect


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

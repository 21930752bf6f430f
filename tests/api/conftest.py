"""One running application with the tiny recogniser, and a client that talks to it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from fastapi import FastAPI

from app.core.settings import Settings
from app.main import create_app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def application(tiny_settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(tiny_settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://glossline", timeout=60) as session:
        yield session

"""One running application with the tiny recogniser, and a client that talks to it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio
from fastapi import FastAPI

from app.core.settings import Settings
from tests.support.serving import client_of, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def application(tiny_settings: Settings) -> AsyncIterator[FastAPI]:
    async with running(tiny_settings) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as session:
        yield session

"""One running application with the tiny recogniser, and a client that talks to it without a socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from app.core.settings import Settings
from tests.support.described import checked_events
from tests.support.serving import client_of, running


@pytest.fixture(scope="session")
def events_checked() -> Iterator[list[str]]:
    with checked_events() as faults:
        yield faults


@pytest.fixture(autouse=True)
def events_as_described(events_checked: list[str]) -> Iterator[None]:
    """Every event of every session of these tests is as the AsyncAPI document says."""
    yield
    found = events_checked.copy()
    events_checked.clear()
    assert found == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def application(tiny_settings: Settings) -> AsyncIterator[FastAPI]:
    async with running(tiny_settings) as app:
        yield app


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(application: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(application) as session:
        yield session

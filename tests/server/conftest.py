"""A service with short deadlines behind a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from app.core.settings import Settings
from app.main import create_app
from tests.support.serving import served


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def host(tiny_settings: Settings) -> AsyncIterator[str]:
    settings = tiny_settings.model_copy(
        update={"header_timeout_s": 2.0, "max_concurrent_requests": 4, "upload_timeout_s": 6.0, "max_clients": 2}
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app), served(app) as address:
        yield address

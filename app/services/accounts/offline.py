"""Accounts for commands: the same database and secret as the service, which may run beside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.core.settings import Settings
from app.db.database import Database
from app.services.accounts.keys import Keys
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.secret import Secret
from app.services.accounts.service import Accounts


@asynccontextmanager
async def accounts_of(settings: Settings) -> AsyncIterator[tuple[Accounts, Keys]]:
    """For as long as the block lasts. Raises DatabaseUnavailable, SettingsError."""
    database = Database.of(settings)
    try:
        await database.open()
        secret = Secret.of(settings)
        accounts = Accounts(settings, database, secret, RateLimits(settings))
        try:
            yield accounts, Keys(settings, database, secret)
        finally:
            await accounts.close()
    finally:
        await database.close()

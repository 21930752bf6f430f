"""Transactions for routes: an unavailable database becomes a documented error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import errors
from app.db.database import Database, DatabaseUnreachable


@asynccontextmanager
async def transaction(database: Database) -> AsyncIterator[AsyncSession]:
    """One transaction for a route. Raises errors.DatabaseUnavailable."""
    try:
        async with database.session() as session:
            yield session
    except DatabaseUnreachable as problem:
        raise errors.DatabaseUnavailable(
            f"The database does not answer ({problem}). Start it, or correct DATABASE_URL; the service tries again "
            "every few seconds."
        ) from problem

"""A clock of the database that a test moves: `now()` of all statements, not of the defaults of columns."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from tests.support.ledger import opened

_MAKE = (
    "CREATE SCHEMA moved",
    "CREATE TABLE moved.clock (by interval NOT NULL)",
    "INSERT INTO moved.clock VALUES ('0 seconds')",
    "CREATE FUNCTION moved.now() RETURNS timestamptz LANGUAGE sql STABLE"
    " AS 'SELECT pg_catalog.now() + (SELECT by FROM moved.clock)'",
    "CREATE FUNCTION moved.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE"
    " AS 'SELECT pg_catalog.clock_timestamp() + (SELECT by FROM moved.clock)'",
)


@dataclass(frozen=True)
class DatabaseClock:
    url: str

    async def move(self, by: str) -> None:
        """by: how far it is from the true time, an expression of SQL such as `interval '1 hour'`."""
        async with opened(self.url) as database, database.session() as session:
            await session.execute(text(f"UPDATE moved.clock SET by = {by}"))


async def movable_clock(url: str) -> DatabaseClock:
    """For connections that are made from now on."""
    async with opened(url) as database, database.session() as session:
        for statement in _MAKE:
            await session.execute(text(statement))
        name = await session.scalar(text("SELECT current_database()"))
        await session.execute(text(f'ALTER DATABASE "{name}" SET search_path = moved, pg_catalog, public'))
    return DatabaseClock(url)

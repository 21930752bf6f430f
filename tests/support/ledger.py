"""Users in the database, and their credits, for tests that need no sign-in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.core.principal import ALL_SCOPES, Principal
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import User
from app.monitoring.metrics import Metrics
from app.services.billing import ledger
from app.services.billing.credits import Credits
from app.services.billing.plans import Plans, load_plans

#: A table whose free plan grants nothing, so that a test counts only what it gave.
NOTHING = load_plans().model_copy(
    update={
        "plans": {
            **load_plans().plans,
            "free": load_plans()
            .plans["free"]
            .model_copy(update={"monthly_credits": 0, "minutes_a_day": 10_000.0, "concurrent_sessions": 3}),
        }
    }
)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(url, Path("/nonexistent"))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def credits_of(database: Database, plans: Plans = NOTHING) -> AsyncIterator[Credits]:
    credits = Credits(Settings(_env_file=None, auth_mode="required"), database, plans, Metrics())
    try:
        yield credits
    finally:
        await credits.close()


async def new_user(database: Database, given: int = 0) -> Principal:
    """A user with this many credits."""
    user = User(id=uuid4(), email=f"{uuid4().hex}@example.org", password_hash="-")
    async with database.session() as session:
        session.add(user)
        await session.flush()
        if given:
            await ledger.append(session, user.id, "adjust", given, reason="for a test")
    return Principal(user.id, "user", ALL_SCOPES, None, "127.0.0.1")


async def rows(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.session() as session:
        return list((await session.execute(text(statement), values)).all())


async def balance(database: Database, user_id: UUID | None) -> tuple[int, int, int]:
    """Sum of the ledger, balance of its newest entry, credits held."""
    found = await rows(
        database,
        "SELECT (SELECT coalesce(sum(amount), 0) FROM ledger WHERE user_id = :user),"
        " (SELECT coalesce((SELECT balance FROM ledger WHERE user_id = :user ORDER BY number DESC LIMIT 1), 0)),"
        " (SELECT coalesce(sum(amount), 0) FROM reservations WHERE user_id = :user AND state = 'open')",
        user=user_id,
    )
    total, newest, held = found[0]
    return int(total), int(newest), int(held)

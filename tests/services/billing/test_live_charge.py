"""The credits of a live session on a real database: held ahead, warned, ended, and without the database for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from sqlalchemy import text

from app.core import errors
from app.core.errors import ServiceError
from app.core.principal import Principal
from app.db.database import Database
from app.services.billing import live_charge as charging
from app.services.billing.credits import Credits
from app.services.billing.live_charge import LiveCharge
from app.services.conversation.events import Event
from tests.support.ledger import NOTHING, balance, credits_of, new_user, opened


class FakeSession:
    """A session as far as it is charged."""

    id = "session"

    def __init__(self) -> None:
        self.used_s = 0.0
        self.failed: ServiceError | None = None
        self.warnings: list[tuple[str, str]] = []

    def warn(self, code: str, message: str) -> None:
        self.warnings.append((code, message))

    async def end(self, last: Event | None, problem: ServiceError, timeout_s: float) -> None:
        self.failed = self.failed or problem


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def credits(database: Database) -> AsyncIterator[Credits]:
    async with credits_of(database) as credits:
        yield credits


async def charged(credits: Credits, user: Principal) -> tuple[FakeSession, LiveCharge]:
    """Its own looks are switched off: the test makes them."""
    session, reservation = FakeSession(), await credits.reserve(user, charging.AHEAD_S, "live", at_least=1)
    assert reservation.plan is not None
    charge = LiveCharge(credits, reservation, reservation.plan, session)
    charge._task.cancel()
    return session, charge


async def test_a_session_warns_once_and_ends_when_nothing_is_left(database: Database, credits: Credits) -> None:
    user = await new_user(database, 100)
    session, charge = await charged(credits, user)
    for used_s in range(0, 100, 5):
        session.used_s = float(used_s)
        await charge._tick()
        assert session.failed is None
        assert charge.credits_remaining == 100 - used_s
    assert [code for code, _ in session.warnings] == ["credits_low"]
    assert "credits for 60 more seconds" in session.warnings[0][1]
    session.used_s = 100.2
    await charge._tick()
    assert isinstance(session.failed, errors.InsufficientCredits)
    await charge.close()
    assert await balance(database, user.user_id) == (0, 0, 0)


async def test_minutes_of_the_day_end_it_too(database: Database) -> None:
    free = NOTHING.plans["free"].model_copy(update={"minutes_a_day": 1.5})
    async with credits_of(database, NOTHING.model_copy(update={"plans": {"free": free}})) as credits:
        user = await new_user(database, 1000)
        session, charge = await charged(credits, user)
        for used_s in (40.0, 80.0):
            session.used_s = used_s
            await charge._tick()
        assert "allows 50 more seconds today" in session.warnings[0][1]
        session.used_s = 91.0
        await charge._tick()
        assert isinstance(session.failed, errors.PlanLimit)
        await charge.close()
        assert (await balance(database, user.user_id))[0] == 909


async def test_without_the_database_a_session_goes_on_for_a_while_and_is_settled_later(
    database: Database, credits: Credits
) -> None:
    user = await new_user(database, 1000)
    session, charge = await charged(credits, user)
    database.problem = "for a test"
    for used_s in (30.0, 60.0, 119.0):
        session.used_s = used_s
        await charge._tick()
        assert session.failed is None
    session.used_s = 121.0
    await charge._tick()
    assert isinstance(session.failed, errors.DatabaseUnavailable)
    await charge.close()
    database.problem = None
    await credits._one_beat(1)
    assert await balance(database, user.user_id) == (879, 879, 0)


async def test_the_database_comes_back_in_time(database: Database, credits: Credits) -> None:
    user = await new_user(database, 1000)
    session, charge = await charged(credits, user)
    database.problem = "for a test"
    session.used_s = 100.0
    await charge._tick()
    database.problem = None
    await charge._tick()
    assert session.failed is None
    assert charge.credits_remaining == 900
    await charge.close()
    assert await balance(database, user.user_id) == (900, 900, 0)


async def test_the_account_is_deleted_in_the_middle(database: Database, credits: Credits) -> None:
    user = await new_user(database, 1000)
    session, charge = await charged(credits, user)
    async with database.session() as transaction:
        await transaction.execute(text("DELETE FROM users WHERE id = :user"), {"user": user.user_id})
    session.used_s = 31.0
    await charge._tick()
    assert isinstance(session.failed, errors.NotFound)
    await charge.close()


async def test_it_looks_by_itself(database: Database, credits: Credits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charging, "TICK_S", 0.01)
    user = await new_user(database, 5)
    session, reservation = FakeSession(), await credits.reserve(user, charging.AHEAD_S, "live", at_least=1)
    charge = LiveCharge(credits, reservation, NOTHING.plans["free"], session)
    session.used_s = 6.0
    async with asyncio.timeout(20):
        while session.failed is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await charge.close()
    assert await balance(database, user.user_id) == (0, 0, 0)

"""A clock that jumps by an hour, of the database or of a process: no credit is lost, spent or granted twice."""

from __future__ import annotations

import os

import psutil
import pytest
from sqlalchemy import text

from app.services.billing import reservations
from app.services.billing.plans import load_plans
from tests.support.clock import movable_clock
from tests.support.ledger import balance, credits_of, new_user, opened, rows

#: How far the first of the next month is away.
TO_THE_NEXT_MONTH = (
    "date_trunc('month', pg_catalog.now() AT TIME ZONE 'UTC') + interval '1 month'"
    " - pg_catalog.now() AT TIME ZONE 'UTC'"
)


async def test_a_month_is_granted_once_when_the_clock_goes_over_its_end_and_back(database_url: str) -> None:
    clock = await movable_clock(database_url)
    async with opened(database_url) as database, credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        assert user.user_id is not None
        await credits.settle(await credits.reserve(user, 100, "clip"), 100)
        for by in ("30 minutes", "-30 minutes", "31 minutes", "-29 minutes", "32 minutes"):
            await clock.move(f"{TO_THE_NEXT_MONTH} + interval '{by}'")
            account = await credits.account(user)
            assert account is not None
            assert account.balance == 1800, by
        granted = await rows(database, "SELECT kind, amount FROM ledger ORDER BY number")
        assert granted == [("grant", 1800), ("debit", -100), ("expire", -1700), ("grant", 1800)]
        assert await credits.check() == 0


@pytest.mark.parametrize("by", ["1 hour", "-1 hour"])
async def test_work_that_runs_meanwhile_is_paid_once(database_url: str, by: str) -> None:
    """After a jump ahead another machine takes this one for dead until its next heartbeat, and closes what it began."""
    clock = await movable_clock(database_url)
    async with opened(database_url) as database, credits_of(database) as credits, credits_of(database) as other:
        other._owner = "elsewhere/1/1.0"
        user = await new_user(database, 1000)
        live = await credits.reserve(user, 60, "live", at_least=1)
        await credits.keep(live, 20, 20)
        await clock.move(f"interval '{by}'")
        closed = await other.recover(others_too=True)
        assert closed == (1 if by == "1 hour" else 0)
        async with database.session() as session:
            await reservations.touch(session, credits._owner)
        assert await other.recover(others_too=True) == 0
        await credits.keep(live, 40, 20)
        await credits.settle(live, 50)
        price = credits.plans.credits("live", 50)
        assert await balance(database, user.user_id) == (1000 - price, 1000 - price, 0)
        assert (await rows(database, "SELECT sum(seconds) FROM ledger"))[0][0] == 50
        assert await credits.check() == 0


async def test_processes_of_this_machine_are_not_taken_for_dead(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """psutil tells when a process began by the clock of now."""
    true_start, true_boot = psutil.Process.create_time, psutil.boot_time
    host, parent = reservations.this_process().partition("/")[0], psutil.Process(os.getppid())
    mine = f"{host}/{parent.pid}/{reservations._start_of(parent)}"
    assert not reservations._dead(mine, host)
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: true_start(process) + 3600)
    monkeypatch.setattr(psutil, "boot_time", lambda: true_boot() + 3600)
    assert not reservations._dead(mine, host)
    boot, _, seconds = mine.rpartition("/")[2].partition("+")
    assert reservations._dead(f"{host}/{parent.pid}/{boot}+{float(seconds) - 10}", host)  # the id is used again
    assert reservations._dead(f"{host}/{parent.pid}/{'0' * 8}+{seconds}", host)  # before the machine started
    assert not reservations._dead(f"{host}/{parent.pid}/{parent.create_time():.2f}", host)  # of an earlier version
    assert reservations._dead(f"{host}/{parent.pid}/{parent.create_time() - 10:.2f}", host)
    assert reservations._dead(f"{host}/999999/1.0", host)


async def test_a_plan_that_is_paid_stays(database_url: str) -> None:
    clock = await movable_clock(database_url)
    async with opened(database_url) as database, credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        async with database.session() as session:
            await session.execute(
                text(
                    "INSERT INTO subscriptions (user_id, plan, source, status, period_end) VALUES"
                    " (:user, 'pro', 'stripe', 'active', pg_catalog.now() + interval '30 minutes')"
                ),
                {"user": user.user_id},
            )
        for by in ("1 hour", "-1 hour"):
            await clock.move(f"interval '{by}'")
            account = await credits.account(user)
            assert account is not None
            assert account.plan_name == "pro"

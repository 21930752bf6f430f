"""Credits on a real PostgreSQL: reserve, settle, release, at once and over again, and after a crash.

GLOSSLINE_ROUNDS sets how often 200 debits come at once; the default keeps the run short.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core import errors
from app.core.principal import ALL_SCOPES, Principal
from app.db.database import Database
from app.services.billing import ledger, reservations
from app.services.billing.credits import Credits
from app.services.billing.idempotency import Answer, Key
from app.services.billing.plans import load_plans
from tests.support.ledger import NOTHING, balance, credits_of, new_user, opened, rows

ROUNDS = int(os.environ.get("GLOSSLINE_ROUNDS", "20"))


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened(database_url) as database:
        yield database


@pytest_asyncio.fixture
async def credits(database: Database) -> AsyncIterator[Credits]:
    async with credits_of(database) as credits:
        yield credits


async def test_of_200_debits_at_once_a_balance_for_100_pays_exactly_100_every_time(
    database: Database, credits: Credits
) -> None:
    """From two processes of the service, as far as the database can tell: each has its own connections and locks."""
    async with opened(database._url.render_as_string(hide_password=False)) as other, credits_of(other) as second:  # type: ignore[union-attr]
        for _ in range(ROUNDS):
            user = await new_user(database, 100)

            async def spend(service: Credits, user: Principal = user) -> bool:
                try:
                    reservation = await service.reserve(user, 1, "clip")
                except errors.InsufficientCredits:
                    return False
                assert (await service.settle(reservation, 1)).debited == 1
                return True

            paid = await asyncio.gather(*(spend(service) for service in (credits, second) for _ in range(100)))
            assert sum(paid) == 100
            assert await balance(database, user.user_id) == (0, 0, 0)
    assert await credits.check() == 0


async def test_what_is_reserved_cannot_be_reserved_again_and_the_rest_comes_back(
    database: Database, credits: Credits
) -> None:
    user = await new_user(database, 10)
    first = await credits.reserve(user, 8, "clip")
    with pytest.raises(errors.InsufficientCredits, match="costs 3 credits and 2 are left: 1 are missing") as refused:
        await credits.reserve(user, 3, "clip")
    assert refused.value.extra == {"needed": 3, "available": 2, "missing": 1}
    assert await balance(database, user.user_id) == (10, 10, 8)
    debit = await credits.settle(first, 2.2)
    assert (debit.debited, debit.missing, debit.available) == (3, 0, 7)
    second = await credits.reserve(user, 7, "clip")
    await credits.release(second)
    assert await balance(database, user.user_id) == (7, 7, 0)


async def test_a_reservation_is_settled_once(database: Database, credits: Credits) -> None:
    user = await new_user(database, 10)
    reservation = await credits.reserve(user, 4, "clip")
    debits = await asyncio.gather(*(credits.settle(reservation, 4) for _ in range(10)))
    await credits.release(reservation)
    assert sorted(debit.debited for debit in debits) == [0] * 9 + [4]
    assert await balance(database, user.user_id) == (6, 6, 0)


async def test_work_that_took_more_than_was_reserved_takes_what_is_there(database: Database, credits: Credits) -> None:
    user = await new_user(database, 10)
    debit = await credits.settle(await credits.reserve(user, 2, "clip"), 5)
    assert (debit.debited, debit.missing) == (5, 0)
    debit = await credits.settle(await credits.reserve(user, 2, "clip"), 9)
    assert (debit.debited, debit.missing) == (5, 4)
    assert await balance(database, user.user_id) == (0, 0, 0)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger SET amount = 1000", "DELETE FROM ledger", "TRUNCATE ledger", "UPDATE ledger SET user_id = NULL"],
)
async def test_the_ledger_only_grows(database: Database, statement: str) -> None:
    await new_user(database, 10)
    with pytest.raises(DBAPIError, match="the ledger only grows"):
        async with database.session() as session:
            await session.execute(text(statement))


async def test_the_database_itself_refuses_a_negative_balance_and_sets_the_balance(database: Database) -> None:
    user = await new_user(database, 10)
    insert = text("INSERT INTO ledger (user_id, kind, amount, balance, number) VALUES (:user, 'adjust', :n, 999, 77)")
    async with database.session() as session:
        await session.execute(insert, {"user": user.user_id, "n": -4})
    assert await rows(database, "SELECT number, balance FROM ledger WHERE amount = -4") == [(2, 6)]
    with pytest.raises(DBAPIError, match="ck_ledger_balance"):
        async with database.session() as session:
            await session.execute(insert, {"user": user.user_id, "n": -7})


async def test_entries_of_a_deleted_user_stay_without_a_name(database: Database, credits: Credits) -> None:
    user = await new_user(database, 10)
    running = await credits.reserve(user, 4, "clip")
    await credits.settle(await credits.reserve(user, 3, "clip"), 3)
    async with database.session() as session:
        await session.execute(text("DELETE FROM users WHERE id = :user"), {"user": user.user_id})
    assert await rows(database, "SELECT user_id, amount FROM ledger ORDER BY id") == [(None, 10), (None, -3)]
    assert (await credits.settle(running, 4)).debited == 0
    with pytest.raises(errors.NotFound):
        await credits.reserve(user, 1, "clip")
    assert await credits.check() == 0


async def test_nothing_is_stored_for_free_use(database: Database, credits: Credits) -> None:
    anonymous = Principal(None, "user", ALL_SCOPES, None, "127.0.0.1")
    reservation = await credits.reserve(anonymous, 10_000, "live")
    assert reservation.free
    await credits.keep(reservation, 5, 10)
    await credits.settle(reservation, 10_000)
    await credits.release(reservation)
    assert await credits.account(anonymous) is None
    assert await rows(database, "SELECT 1 FROM reservations UNION SELECT 1 FROM ledger") == []


async def test_an_account_that_does_not_add_up_is_found(database: Database, credits: Credits) -> None:
    user = await new_user(database, 10)
    async with database.session() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))  # as someone with all rights could
        await session.execute(text("UPDATE ledger SET amount = 11 WHERE user_id = :user"), {"user": user.user_id})
    assert await credits.check() == 1


# -- months and plans --------------------------------------------------------------------------------------------------


async def test_a_month_is_granted_once(database: Database) -> None:
    async with credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        accounts = await asyncio.gather(*(credits.account(user) for _ in range(20)))
        assert {account.balance for account in accounts if account is not None} == {1800}
        assert await rows(database, "SELECT kind, amount, source FROM ledger") == [("grant", 1800, "free")]


async def _subscribe(database: Database, user: Principal, plan: str, **columns: Any) -> None:
    columns = {"status": "active", "source": "stripe", "period_end": None, **columns}
    async with database.session() as session:
        await session.execute(
            text(
                "INSERT INTO subscriptions (user_id, plan, source, status, period_end) VALUES (:user, :plan, :source,"
                " :status, now() + cast(cast(:period_end as text) as interval)) ON CONFLICT (user_id) DO UPDATE SET"
                " plan = excluded.plan, status = excluded.status, period_end = excluded.period_end"
            ),
            {"user": user.user_id, "plan": plan, **columns},
        )


async def test_a_larger_plan_brings_the_difference_and_never_twice(database: Database) -> None:
    async with credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        await credits.settle(await credits.reserve(user, 100, "clip"), 100)
        for plan in ("pro", "free", "pro", "enterprise", "pro", "enterprise"):
            await _subscribe(database, user, plan)
            await credits.account(user)
        account = await credits.account(user)
        assert account is not None
        assert account.balance == 1_000_000 - 100
        assert account.plan_name == "enterprise"


@pytest.mark.parametrize(
    ("columns", "plan"),
    [
        ({"status": "past_due"}, "free"),
        ({"status": "canceled"}, "free"),
        ({"status": "trialing"}, "pro"),
        ({"period_end": "-2 days"}, "pro"),
        ({"period_end": "-4 days"}, "free"),
        ({"source": "admin", "status": "none", "period_end": "-400 days"}, "pro"),
    ],
)
async def test_which_plan_applies(database: Database, columns: dict[str, Any], plan: str) -> None:
    async with credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        await _subscribe(database, user, "pro", **columns)
        account = await credits.account(user)
        assert account is not None
        assert account.plan_name == plan


async def test_a_new_month_replaces_what_is_left_of_the_last_one_but_not_what_was_given(database: Database) -> None:
    async with credits_of(database, load_plans()) as credits:
        user = await new_user(database, 50)  # a gift, which stays
        async with database.session() as session:
            await ledger.append(session, user.user_id, "grant", 1000, source="free", period="2020-01", key="old")  # type: ignore[arg-type]
            await ledger.append(session, user.user_id, "debit", -300, source="clip", seconds=300)  # type: ignore[arg-type]
        account = await credits.account(user)
        assert account is not None
        assert account.balance == 1850
        assert await rows(database, "SELECT kind, amount FROM ledger ORDER BY number DESC LIMIT 2") == [
            ("grant", 1800),
            ("expire", -700),
        ]


async def test_a_clock_that_goes_back_grants_nothing(database: Database) -> None:
    async with credits_of(database, load_plans()) as credits:
        user = await new_user(database)
        async with database.session() as session:
            await ledger.append(session, user.user_id, "grant", 1800, source="free", period="2999-01", key="late")  # type: ignore[arg-type]
        account = await credits.account(user)
        assert account is not None
        assert account.balance == 1800


async def test_minutes_a_day_and_sessions_at_once(database: Database) -> None:
    free = NOTHING.plans["free"].model_copy(update={"minutes_a_day": 1, "concurrent_sessions": 1})
    async with credits_of(database, NOTHING.model_copy(update={"plans": {"free": free}})) as credits:
        user = await new_user(database, 1000)
        live = await credits.reserve(user, 40, "live", at_least=1)
        with pytest.raises(errors.PlanLimit) as refused:
            await credits.reserve(user, 1, "live")
        assert refused.value.extra == {"limit": "concurrent_sessions"}
        with pytest.raises(errors.PlanLimit) as refused:
            await credits.reserve(user, 21, "clip")
        assert refused.value.extra == {"limit": "minutes_a_day"}
        await credits.settle(live, 10)
        await credits.settle(await credits.reserve(user, 50, "clip"), 50)
        with pytest.raises(errors.PlanLimit):
            await credits.reserve(user, 1, "live", at_least=1)


# -- live sessions, and the end of processes ---------------------------------------------------------------------------


async def test_a_live_session_holds_more_as_it_goes_up_to_what_is_there(database: Database, credits: Credits) -> None:
    user = await new_user(database, 100)
    live = await credits.reserve(user, 60, "live", at_least=1)
    assert (live.amount, live.available) == (60, 40)
    await credits.keep(live, 30.5, 60)
    assert (live.amount, live.available) == (91, 9)
    await credits.keep(live, 80, 60)
    assert (live.amount, live.available) == (100, 0)
    assert await balance(database, user.user_id) == (100, 100, 100)
    assert (await credits.settle(live, 99.5)).debited == 100


async def test_reservations_of_a_dead_process_are_closed_for_what_is_known(
    database: Database, credits: Credits, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await new_user(database, 100)
    async with credits_of(database) as dead:
        dead._owner = f"{credits._owner.partition('/')[0]}/999999/1.0"
        live = await dead.reserve(user, 60, "live", at_least=1)
        await dead.keep(live, 12.5, 20)
        await dead.reserve(user, 20, "clip", key=Key("again", b"digest"))
    alive = await credits.reserve(user, 5, "clip")
    counted = await asyncio.gather(*(credits.recover(others_too=False) for _ in range(3)))
    assert max(counted) == 2
    assert await balance(database, user.user_id) == (87, 87, 5)
    assert await rows(database, "SELECT amount, seconds, source FROM ledger WHERE kind = 'debit'") == [
        (-13, 12.5, "live")
    ]
    assert (await credits.reserve(user, 20, "clip", key=Key("again", b"digest"))).replayed is None
    await credits.settle(alive, 5)
    # An owner that comes back finds its reservation closed; the rest of the session is charged with another.
    await dead.keep(live, 15, 5)
    assert (await dead.settle(live, 16.5)).debited == 4
    assert await credits.check() == 0


async def test_reservations_of_another_machine_are_closed_when_it_is_silent(
    database: Database, credits: Credits
) -> None:
    user = await new_user(database, 100)
    async with credits_of(database) as other:
        other._owner = "elsewhere/1/1.0"
        await other.reserve(user, 60, "clip")
        assert await credits.recover(others_too=True) == 0
        async with database.session() as session:
            await session.execute(text("UPDATE reservations SET owner_seen = now() - interval '61 seconds'"))
        assert await credits.recover(others_too=False) == 0
        async with database.session() as session:
            await reservations.touch(session, "elsewhere/1/1.0")
        assert await credits.recover(others_too=True) == 0
        async with database.session() as session:
            await session.execute(text("UPDATE reservations SET owner_seen = now() - interval '61 seconds'"))
        assert await credits.recover(others_too=True) == 1
    assert await balance(database, user.user_id) == (100, 100, 0)


async def test_what_cannot_be_closed_while_the_database_is_away_is_closed_later(
    database: Database, credits: Credits
) -> None:
    user = await new_user(database, 100)
    live, clip = await credits.reserve(user, 60, "live"), await credits.reserve(user, 30, "clip")
    database.problem = "for a test"
    with pytest.raises(errors.DatabaseUnavailable):
        await credits.settle(clip, 30)
    await credits.release(clip)
    await credits.finish(live, 41)
    database.problem = None
    await credits._one_beat(1)
    assert await balance(database, user.user_id) == (59, 59, 0)
    await credits._one_beat(2)
    assert await balance(database, user.user_id) == (59, 59, 0)


async def test_cancelling_the_call_does_not_stop_the_settlement(database: Database, credits: Credits) -> None:
    user = await new_user(database, 10)
    reservation = await credits.reserve(user, 4, "clip")
    settling = asyncio.create_task(credits.settle(reservation, 4))
    await asyncio.sleep(0)
    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)
    await credits.close()
    assert await balance(database, user.user_id) == (6, 6, 0)


# -- idempotency -------------------------------------------------------------------------------------------------------


async def test_a_key_is_paid_once_and_gets_the_same_answer(database: Database, credits: Credits) -> None:
    user, key = await new_user(database, 10), Key("k", b"one")
    reservation = await credits.reserve(user, 4, "clip", key=key)
    with pytest.raises(errors.IdempotencyInProgress):
        await credits.reserve(user, 4, "clip", key=key)
    await credits.settle(reservation, 4, Answer("application/json", b"{}"))
    again = await credits.reserve(user, 4, "clip", key=key)
    assert again.replayed == Answer("application/json", b"{}")
    assert again.free
    await credits.settle(again, 4)
    with pytest.raises(errors.IdempotencyMismatch):
        await credits.reserve(user, 4, "clip", key=Key("k", b"two"))
    assert await balance(database, user.user_id) == (6, 6, 0)
    other = await new_user(database, 10)
    assert (await credits.reserve(other, 4, "clip", key=Key("k", b"two"))).replayed is None


async def test_the_key_of_a_request_that_failed_is_free_again(database: Database, credits: Credits) -> None:
    user, key = await new_user(database, 10), Key("k", b"one")
    await credits.release(await credits.reserve(user, 4, "clip", key=key))
    longer = await credits.reserve(user, 4, "clip", key=Key("k", b"two"))
    assert (await credits.settle(longer, 99, Answer("application/json", b"{}"))).missing
    with pytest.raises(errors.InsufficientCredits):
        await credits.reserve(user, 4, "clip", key=key)

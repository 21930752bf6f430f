"""Transactions about one account that come at the same time: each is done or refused, none of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.errors import DatabaseUnavailable, ServiceError
from app.core.principal import ALL_SCOPES, Principal
from app.core.settings import Settings
from app.db.database import Database
from app.services.accounts.keys import Keys
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.secret import Secret
from app.services.accounts.service import Accounts
from app.services.billing import closing, ledger
from app.services.history import repository as history
from app.services.history.records import Begun, Line
from tests.support.accounts import PASSWORD, guarded
from tests.support.ledger import rows

NEW = "eight loud herons"


@asynccontextmanager
async def house(settings: Settings) -> AsyncIterator[tuple[Database, Accounts, Keys]]:
    assert settings.database_url is not None
    database = Database(settings.database_url.get_secret_value(), settings.data_dir)
    await database.open()
    secret = Secret.of(settings)
    accounts = Accounts(settings, database, secret, RateLimits(settings))
    try:
        yield database, accounts, Keys(settings, database, secret)
    finally:
        await accounts.close()
        await database.close()


async def waiting(database: Database, number: int) -> None:
    """Until this many transactions wait for a lock."""
    async with asyncio.timeout(60):
        while True:
            found = await rows(database, "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
            if found[0][0] >= number:
                return
            await asyncio.sleep(0.02)


async def remove(accounts: Accounts, user_id: UUID) -> None:
    await accounts.remove(user_id, PASSWORD, closing.close)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        *[("remove", second) for second in ("refresh", "sign out", "reset", "ticket", "key")],
        *(("sign out everywhere", "refresh"), ("disable", "reset")),
    ],
)
async def test_two_in_a_row_for_the_account_do_not_wait_for_each_other(
    tiny_settings: Settings, database_url: str, first: str, second: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each needs the row of the account, which somebody holds: in whatever order they get it, none holds what the
    other needs."""
    async with house(guarded(tiny_settings, database_url)) as (database, accounts, keys):
        sent: list[str] = []
        monkeypatch.setattr(accounts._mailer, "reset", lambda to, token: sent.append(token))
        signed_in = await accounts.register("ann@example.org", PASSWORD)
        user_id = signed_in.user.id
        await accounts.request_reset("ann@example.org")
        key, _ = await keys.create(user_id, "kiosk", {"captions"}, None)
        principal = Principal(user_id, "user", ALL_SCOPES, key.id, "127.0.0.1")
        work: dict[str, Any] = {
            "remove": lambda: remove(accounts, user_id),
            "sign out everywhere": lambda: accounts.sign_out_everywhere(user_id),
            "disable": lambda: accounts.change(user_id, None, True),
            "refresh": lambda: accounts.refresh(signed_in.refresh_token),
            "sign out": lambda: accounts.sign_out(signed_in.refresh_token),
            "reset": lambda: accounts.reset_password(sent[0], NEW),
            "ticket": lambda: keys.make_ticket(principal),
            "key": lambda: keys.create(user_id, "another", {"captions"}, None),
        }
        async with database.session() as session:
            await session.execute(text("SELECT FROM users WHERE id = :id FOR UPDATE"), {"id": user_id})
            one = asyncio.create_task(work[first]())
            await waiting(database, 1)
            other = asyncio.create_task(work[second]())
            await waiting(database, 2)
        outcomes = await asyncio.wait_for(asyncio.gather(one, other, return_exceptions=True), 60)
        assert not isinstance(outcomes[0], BaseException), outcomes
        for outcome in outcomes:
            assert not isinstance(outcome, DatabaseUnavailable), outcomes
            assert isinstance(outcome, ServiceError) or not isinstance(outcome, BaseException), outcomes


async def test_a_deletion_that_is_in_the_way_of_another_transaction_is_tried_again(
    tiny_settings: Settings, database_url: str
) -> None:
    """Such as a job over rows of many accounts, which knows no order."""
    async with house(guarded(tiny_settings, database_url)) as (database, accounts, _):
        signed_in = await accounts.register("ann@example.org", PASSWORD)
        async with database.session() as session:
            await session.execute(text("SET LOCAL deadlock_timeout = '60s'"))  # the other one notices it
            await session.execute(text("SELECT FROM refresh_tokens FOR UPDATE"))
            removing = asyncio.create_task(remove(accounts, signed_in.user.id))
            await waiting(database, 1)
            await session.execute(text("SELECT FROM users FOR UPDATE"))
        await asyncio.wait_for(removing, 60)
        assert await rows(database, "SELECT 1 FROM users") == []
        assert database.problem is None


async def test_a_deletion_does_not_wait_for_the_history_of_a_live_session_of_somebody_else(
    tiny_settings: Settings, database_url: str
) -> None:
    """A writer has begun a session of the one admin and begins one of the other, while the first deletes the account:
    both may look at the rows of the admins."""
    async with house(guarded(tiny_settings, database_url)) as (database, accounts, _):
        admins = sorted([(await accounts.create(f"{n}@example.org", PASSWORD, "admin")).id for n in "abc"])
        values = {"kind": "live", "sign_language": "ase", "model": "tiny", "vocabulary": "everyday"}
        started = (await rows(database, "SELECT now()"))[0][0]
        async with database.session() as session:
            begun = Begun(uuid4(), {**values, "user_id": admins[-1], "started_at": started})
            await history.write(session, begun)
            removing = asyncio.create_task(remove(accounts, admins[-1]))
            await waiting(database, 1)
            await history.write(session, Begun(uuid4(), {**values, "user_id": admins[0], "started_at": started}))
        await asyncio.wait_for(removing, 60)
        assert len(await rows(database, "SELECT 1 FROM users")) == 2
        assert len(await rows(database, "SELECT 1 FROM caption_sessions")) == 1


async def test_deletions_at_the_same_time_as_everything_else(tiny_settings: Settings, database_url: str) -> None:
    async with house(guarded(tiny_settings, database_url)) as (database, accounts, keys):
        values = {"kind": "live", "sign_language": "ase", "model": "tiny", "vocabulary": "everyday"}
        started = (await rows(database, "SELECT now()"))[0][0]
        line = {
            **{"number": 0, "start_ms": 0, "end_ms": 1, "glosses": [], "gloss_text": "", "sentence": "", "text": {}},
            **{"partials": [], "confidence": 1.0, "vocabulary": "everyday", "lag_ms": 1.0},
        }

        async def lives(user_id: UUID) -> None:
            sessions = [uuid4() for _ in range(3)]
            async with database.session() as session:
                for one in sessions:
                    await history.write(session, Begun(one, {**values, "user_id": user_id, "started_at": started}))
            for _ in range(3):
                async with database.session() as session:
                    for one in sessions:
                        await history.write(session, Line(one, line))

        async def pays(user_id: UUID) -> None:
            for _ in range(3):
                async with database.session() as session:
                    await ledger.lock(session, user_id)
                    await ledger.append(session, user_id, "adjust", 5, reason="for a test")

        async def beats() -> None:
            async with database.session() as session:
                await session.execute(text("UPDATE refresh_tokens SET expires_at = expires_at"))
                await session.execute(text("UPDATE caption_sessions SET credits = credits"))

        signed_in = [await accounts.register(f"{n}@example.org", PASSWORD) for n in range(4)]
        work: list[Any] = []
        for one in signed_in:
            work += [remove(accounts, one.user.id), accounts.refresh(one.refresh_token), lives(one.user.id)]
            work += [accounts.refresh(one.refresh_token), accounts.sign_out(one.refresh_token), pays(one.user.id)]
            work += [keys.create(one.user.id, "kiosk", {"captions"}, None), beats()]
        outcomes = await asyncio.wait_for(asyncio.gather(*work, return_exceptions=True), 120)
        failed = [o for o in outcomes if isinstance(o, BaseException) and not isinstance(o, ServiceError)]
        gone = [o for o in failed if "ForeignKeyViolation" in str(o)]  # what the writer and the ledger expect
        assert failed == gone
        assert [o for o in outcomes[::8] if o is not None] == []
        assert await rows(database, "SELECT 1 FROM users") == []

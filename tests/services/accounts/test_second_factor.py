"""Secrets of second factors in the database: encrypted, those of earlier versions too, void under another secret."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyotp
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.core.errors import BadCredentials
from app.core.settings import Settings
from app.services.accounts import second_factor
from app.services.accounts.offline import accounts_of
from app.services.accounts.secret import SEALED
from tests.support.accounts import PASSWORD, guarded
from tests.support.ledger import opened, rows


async def test_secrets_are_stored_encrypted_and_earlier_ones_are_encrypted_at_the_start(
    tiny_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    settings = guarded(tiny_settings, database_url, data_dir=tmp_path)
    async with accounts_of(settings) as (accounts, _):
        user = (await accounts.register("ann@example.org", PASSWORD)).user
        secret, _ = await accounts.begin_second_factor(user.id)
        await accounts.turn_on_second_factor(user.id, pyotp.TOTP(secret).now())
    async with opened(database_url) as database:
        stored = (await rows(database, "SELECT totp_secret FROM users"))[0][0]
        assert stored.startswith(SEALED)
        assert secret not in stored
        # As an earlier version has left it.
        await _execute(database_url, "UPDATE users SET totp_secret = :it, totp_step = NULL", it=secret)
    async with accounts_of(settings) as (accounts, _):
        assert (await accounts.sign_in("ann@example.org", PASSWORD, pyotp.TOTP(secret).now())).user.id == user.id
        async with opened(database_url) as database, asyncio.timeout(60):
            while not (await rows(database, "SELECT totp_secret FROM users"))[0][0].startswith(SEALED):  # noqa: ASYNC110 - it stands in the database
                await asyncio.sleep(0.02)
    await _execute(database_url, "UPDATE users SET totp_step = NULL")
    async with accounts_of(settings) as (accounts, _):
        assert (await accounts.sign_in("ann@example.org", PASSWORD, pyotp.TOTP(secret).now())).user.id == user.id


async def test_under_another_secret_no_code_counts_until_the_factor_is_turned_off(
    tiny_settings: Settings, database_url: str, tmp_path: Path
) -> None:
    settings = guarded(tiny_settings, database_url, data_dir=tmp_path)
    async with accounts_of(settings) as (accounts, _):
        user = (await accounts.register("ann@example.org", PASSWORD)).user
        secret, _ = await accounts.begin_second_factor(user.id)
        await accounts.turn_on_second_factor(user.id, pyotp.TOTP(secret).now())
    await _execute(database_url, "UPDATE users SET totp_step = NULL")
    async with accounts_of(settings.model_copy(update={"auth_secret": SecretStr("another" * 8)})) as (accounts, _):
        with pytest.raises(BadCredentials, match="Ask the operator"):
            await accounts.sign_in("ann@example.org", PASSWORD, pyotp.TOTP(secret).now())
        await accounts.drop_second_factor(user.id)
        assert (await accounts.sign_in("ann@example.org", PASSWORD, None)).user.id == user.id


def test_a_clock_that_jumps_makes_codes_wrong_and_none_good_twice() -> None:
    secret = second_factor.new_secret()
    now = 1_900_000_000.0
    code = pyotp.TOTP(secret).at(int(now))
    step = second_factor.step_of(secret, code, None, now)
    assert step == int(now // second_factor.STEP_S)
    for jump in (-3600, 3600):
        assert second_factor.step_of(secret, code, None, now + jump) is None
    # Back by an hour after one was used: those of that hour are older than the last one that counted.
    early = pyotp.TOTP(secret).at(int(now - 3600))
    assert second_factor.step_of(secret, early, step, now - 3600) is None


async def _execute(url: str, statement: str, **values: object) -> None:
    async with opened(url) as database, database.session() as session:
        await session.execute(text(statement), values)

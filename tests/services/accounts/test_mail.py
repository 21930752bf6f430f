"""Password resets: the link goes by mail or into the log, works once, and tells nobody who has an account."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import SecretStr
from sqlalchemy import text

from app.core.errors import BadCredentials, InvalidResetLink, Unauthenticated, WeakPassword
from app.core.settings import Settings
from app.db.database import Database
from app.services.accounts.mail import Mailer
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.secret import Secret
from app.services.accounts.service import Accounts
from tests.support.accounts import PASSWORD, guarded
from tests.support.smtp import mail_server
from tests.support.tools import self_signed

NEW = "eight loud herons"


@asynccontextmanager
async def accounts_of(settings: Settings) -> AsyncIterator[tuple[Accounts, Database]]:
    assert settings.database_url is not None
    database = Database(settings.database_url.get_secret_value(), settings.data_dir)
    await database.open()
    accounts = Accounts(settings, database, Secret.of(settings), RateLimits(settings))
    try:
        yield accounts, database
    finally:
        await accounts.close()
        await database.close()


@pytest.fixture
def lines() -> Any:
    """What is logged."""
    found: list[str] = []
    sink = logger.add(lambda line: found.append(str(line)), format="{level} {message}")
    yield found
    logger.remove(sink)


async def test_the_link_of_a_mail_sets_the_password_once_and_ends_all_sign_ins(
    tiny_settings: Settings, database_url: str
) -> None:
    async with mail_server() as box:
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_tls": "none", "smtp_from": "us@example.org"}
        settings = guarded(tiny_settings, database_url, public_url="https://captions.example.org", **smtp)
        async with accounts_of(settings) as (accounts, _):
            await accounts.create("ann@example.org", PASSWORD, "user")
            before = await accounts.sign_in("ann@example.org", PASSWORD, None)
            await accounts.request_reset("nobody@example.org")
            await accounts.request_reset("Ann@Example.org")
            await asyncio.wait_for(box.arrived.wait(), 20)
            (mail,) = box.mails
            assert box.recipients == ["ann@example.org"]
            assert (mail["From"], mail["To"]) == ("us@example.org", "ann@example.org")
            link = re.search(r"https://captions\.example\.org/account#reset=(\S+)", mail.get_content())
            assert link is not None
            with pytest.raises(WeakPassword):  # which does not use the link up
                await accounts.reset_password(link[1], "short")
            await accounts.reset_password(link[1], NEW)
            with pytest.raises(InvalidResetLink):
                await accounts.reset_password(link[1], "nine loud herons")
            with pytest.raises(BadCredentials):
                await accounts.sign_in("ann@example.org", PASSWORD, None)
            with pytest.raises(Unauthenticated):
                await accounts.user_of(before.access_token)
            with pytest.raises(Unauthenticated):
                await accounts.refresh(before.refresh_token)
            assert (await accounts.sign_in("ann@example.org", NEW, None)).user.email == "ann@example.org"


async def test_without_a_mail_server_the_link_goes_to_the_log(
    tiny_settings: Settings, database_url: str, lines: list[str]
) -> None:
    async with accounts_of(guarded(tiny_settings, database_url)) as (accounts, database):
        await accounts.create("ann@example.org", PASSWORD, "user")
        assert not accounts.by_mail
        for _ in range(2):
            await accounts.request_reset("ann@example.org")
        links = [line for line in lines if "SMTP_HOST is unset" in line]
        first, second = (re.search(r"http://127\.0\.0\.1:8000/account#reset=(\S+)", line) for line in links)
        assert first is not None
        assert second is not None
        async with database.session() as session:
            stored = [str(row) for row in await session.execute(text("SELECT * FROM password_resets"))]
        assert not any(first[1] in row for row in stored)
        await accounts.reset_password(second[1], NEW)
        with pytest.raises(InvalidResetLink):  # of several, the first that is used ends all
            await accounts.reset_password(first[1], "nine loud herons")


async def test_a_link_that_is_too_old_or_wrong_is_refused(
    tiny_settings: Settings, database_url: str, lines: list[str]
) -> None:
    async with accounts_of(guarded(tiny_settings, database_url)) as (accounts, database):
        await accounts.create("ann@example.org", PASSWORD, "user")
        await accounts.request_reset("ann@example.org")
        found = re.search(r"#reset=(\S+)", "".join(lines))
        assert found is not None
        for wrong in ("", "x", found[1][:-1], found[1] + "a", "' OR 1=1 --", "\x00"):
            with pytest.raises(InvalidResetLink):
                await accounts.reset_password(wrong, NEW)
        async with database.session() as session:
            await session.execute(text("UPDATE password_resets SET expires_at = now() - interval '1 second'"))
        with pytest.raises(InvalidResetLink):
            await accounts.reset_password(found[1], NEW)


async def test_of_two_uses_of_a_link_at_once_one_succeeds(
    tiny_settings: Settings, database_url: str, lines: list[str]
) -> None:
    async with accounts_of(guarded(tiny_settings, database_url)) as (accounts, _):
        await accounts.create("ann@example.org", PASSWORD, "user")
        await accounts.request_reset("ann@example.org")
        found = re.search(r"#reset=(\S+)", "".join(lines))
        assert found is not None
        outcomes = await asyncio.gather(
            *(accounts.reset_password(found[1], f"eight loud herons {n}") for n in range(4)), return_exceptions=True
        )
        assert sum(outcome is None for outcome in outcomes) == 1
        assert sum(isinstance(outcome, InvalidResetLink) for outcome in outcomes) == 3


TLS = [
    ("starttls", "starttls", "IP:127.0.0.1", True, True),
    ("tls", "tls", "IP:127.0.0.1", True, True),
    ("starttls", "starttls", "IP:127.0.0.1", False, False),  # an authority that nobody knows
    ("tls", "tls", "IP:127.0.0.1", False, False),
    ("starttls", "starttls", "DNS:mail.example.org", True, False),  # somebody else's certificate
    ("tls", "tls", "DNS:mail.example.org", True, False),
    ("none", "starttls", "IP:127.0.0.1", True, False),  # the offer of TLS was taken out on the way
    ("none", "tls", "IP:127.0.0.1", True, False),
]


@pytest.mark.parametrize(("server", "client", "name", "known", "arrives"), TLS)
async def test_mails_and_passwords_go_only_to_a_server_whose_certificate_is_valid(
    tiny_settings: Settings,
    lines: list[str],
    tmp_path: Path,
    server: str,
    client: Any,
    name: str,
    known: bool,
    arrives: bool,
) -> None:
    certificate, key = self_signed(tmp_path, name)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with mail_server(context, server) as box:
        smtp: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_tls": client}
        smtp |= {"smtp_user": "us", "smtp_password": SecretStr("mail password"), "smtp_from": "us@example.org"}
        smtp |= {"smtp_ca": certificate} if known else {}
        mailer = Mailer(tiny_settings.model_copy(update=smtp))
        mailer.reset("ann@example.org", "token-of-the-link")
        await asyncio.wait_for(mailer.close(), 60)
        if arrives:
            assert [mail["To"] for mail in box.mails] == ["ann@example.org"]
            (sign_in,) = box.sign_ins
            assert sign_in.startswith("AUTH PLAIN")
        else:
            assert (box.mails, box.recipients, box.sign_ins) == ([], [], [])
            assert len([line for line in lines if "a mail could not be sent" in line]) == 1
    assert "token-of-the-link" not in "".join(lines)


@pytest.mark.parametrize("broken", ["closed port", "refuses"])
async def test_a_mail_server_that_fails_is_logged_and_tells_nobody(
    tiny_settings: Settings, database_url: str, lines: list[str], broken: str
) -> None:
    async with mail_server() as box:
        box.refuses = True
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": box.port if broken == "refuses" else 1, "smtp_tls": "none"}
        async with accounts_of(guarded(tiny_settings, database_url, **smtp)) as (accounts, _):
            await accounts.create("ann@example.org", PASSWORD, "user")
            await accounts.request_reset("ann@example.org")
            # close waits for the mail
        said = [line for line in lines if "a mail could not be sent" in line]
        assert len(said) == 1
        assert "#reset=" not in "".join(lines)

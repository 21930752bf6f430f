from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.core.settings import load_settings
from app.services.accounts.offline import accounts_of
from tests.support.accounts import PASSWORD, SECRET

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _settings(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("AUTH_SECRET", SECRET)


def given(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(line + "\n"))


def test_the_first_admin_can_sign_in(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given(monkeypatch, PASSWORD)
    assert main(["admin", "create", "Ann@Example.org"]) == 0
    assert "ann@example.org has an account with the role 'admin'" in capsys.readouterr().out

    async def role() -> str:
        async with accounts_of(load_settings()) as (accounts, _):
            return (await accounts.sign_in("ann@example.org", PASSWORD, None)).user.role

    assert asyncio.run(role()) == "admin"
    assert main(["admin", "role", "ann@example.org", "user"]) == 1
    assert "only admin" in capsys.readouterr().err
    given(monkeypatch, PASSWORD)
    assert main(["admin", "create", "bob@example.org", "--role", "user"]) == 0
    assert main(["admin", "role", "bob@example.org", "operator"]) == 0
    assert "bob@example.org has the role 'operator'" in capsys.readouterr().out
    assert main(["admin", "second-factor-off", "bob@example.org"]) == 0
    assert "no second factor any more" in capsys.readouterr().out
    assert main(["admin", "reset", "bob@example.org"]) == 0
    said = capsys.readouterr()
    assert "SMTP_HOST is unset" in said.out
    assert "/account#reset=" in said.err


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        ("ann", PASSWORD, "not valid"),
        ("ann@example.org", "short", "at least 10"),
        ("ann@example.org", "", "at least 10"),
    ],
)
def test_what_cannot_be_made_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], email: str, password: str, said: str
) -> None:
    given(monkeypatch, password)
    assert main(["admin", "create", email]) == 1
    assert said in capsys.readouterr().err


def test_nobody_gets_no_role(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "role", "nobody@example.org", "user"]) == 1
    assert "no account" in capsys.readouterr().err


def test_a_key_of_the_script_belongs_to_the_account(monkeypatch: pytest.MonkeyPatch) -> None:
    def script(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "scripts/generate_api_key.py", *arguments]
        return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)

    missing = script("ann@example.org")
    assert missing.returncode == 1
    assert "python -m app admin create" in missing.stderr
    given(monkeypatch, PASSWORD)
    assert main(["admin", "create", "ann@example.org", "--role", "user"]) == 0
    made = script("ann@example.org", "--name", "kiosk", "--scopes", "captions", "history", "--days", "30")
    assert made.returncode == 0, made.stderr

    async def known() -> tuple[str, list[str], str]:
        async with accounts_of(load_settings()) as (_, keys):
            key, user = await keys.owner_of(made.stdout.strip())
            return user.email, key.scopes, key.name

    assert asyncio.run(known()) == ("ann@example.org", ["captions", "history"], "kiosk")

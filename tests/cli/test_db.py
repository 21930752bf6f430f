from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import create_async_engine

from app.cli import main
from app.db.database import async_url


def test_the_command_makes_the_tables(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["db", "upgrade"]) == 0
    assert "up to date" in capsys.readouterr().out

    async def tables() -> set[str]:
        engine = create_async_engine(async_url(empty_database))
        async with engine.connect() as connection:
            names = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
        await engine.dispose()
        return names

    assert asyncio.run(tables()) >= {"training_jobs", "active_checkpoints"}
    assert main(["db", "upgrade"]) == 0


def test_a_database_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:hunter2@127.0.0.1:9/x")
    assert main(["db", "upgrade"]) == 1
    said = capsys.readouterr().err
    assert "cannot be reached" in said
    assert "hunter2" not in said

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest
from sqlalchemy import text

from app.core.errors import DatabaseUnavailable
from app.db import database as database_module
from app.db.database import Database, async_url


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_addresses_are_for_asyncpg(scheme: str) -> None:
    url = async_url(f"{scheme}://ann:pw@db:5433/signs?sslmode=require&application_name=x")
    assert url.drivername == "postgresql+asyncpg"
    assert (url.host, url.port, url.database, url.password) == ("db", 5433, "signs", "pw")
    assert dict(url.query) == {"ssl": "require", "application_name": "x"}


def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match="write postgresql://") as caught:
        async_url("postgresql://ann:hunter2@db:port/x")
    assert "hunter2" not in str(caught.value)


def test_no_form_of_a_password_is_shown(tmp_path: Path) -> None:
    for address in ("postgresql://ann:hunter2@db/x", "postgresql://db/x?user=ann&password=hunter2"):
        where = Database(address, tmp_path).where
        assert "hunter2" not in where
        assert "db/x" in where


async def test_a_session_is_one_transaction(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, tmp_path)
    with pytest.raises(DatabaseUnavailable, match="not connected yet"):
        async with database.session():
            pass
    await database.open()
    try:
        insert = text("INSERT INTO active_checkpoints (configured, checkpoint) VALUES ('a', 'b')")
        with contextlib.suppress(ZeroDivisionError):
            async with database.session() as session:
                await session.execute(insert)
                raise ZeroDivisionError
        async with database.session() as session:
            await session.execute(insert)
        async with database.session() as session:
            assert await session.scalar(text("SELECT count(*) FROM active_checkpoints")) == 1
    finally:
        await database.close()
    assert os.listdir(tmp_path) == []  # no embedded server beside it


async def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        database = Database(f"postgresql://ann:hunter2@127.0.0.1:{port}/x", tmp_path)
        with pytest.raises(DatabaseUnavailable) as caught:
            await database.open()
    assert "hunter2" not in f"{caught.value} {database.problem} {database.where}"
    assert "ConnectionRefused" in str(caught.value)
    await database.close()


async def test_a_database_that_comes_back_is_used_again(database_url: str, postgres: str, tmp_path: Path) -> None:
    database = Database(database_url, tmp_path)
    await database.open()
    try:
        with pytest.raises(DatabaseUnavailable, match="terminat"):
            async with database.session() as session:
                await session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        with pytest.raises(DatabaseUnavailable):  # until the next check
            async with database.session():
                pass
        await database.open()
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
    finally:
        await database.close()


async def test_a_fault_of_a_statement_is_no_lost_database(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url, tmp_path)
    await database.open()
    try:
        with pytest.raises(Exception, match="no_such_table"):
            async with database.session() as session:
                await session.execute(text("SELECT * FROM no_such_table"))
        assert database.problem is None
    finally:
        await database.close()


async def test_too_many_at_once_are_no_lost_database(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "CONNECT_S", 1.0)
    database = Database(database_url, tmp_path)
    await database.open()

    async def query(seconds: float) -> None:
        async with database.session() as session:
            await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

    try:
        outcomes = await asyncio.gather(*(query(4) for _ in range(20)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert 0 < len(refused) < 20
        assert all(isinstance(outcome, DatabaseUnavailable) and "in use" in str(outcome) for outcome in refused)
        assert database.problem is None
        await query(0)
    finally:
        await database.close()


async def test_a_server_that_hangs_is_lost(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_S", 5.0)
    database = Database(database_url, tmp_path)
    await database.open()
    try:
        with pytest.raises(DatabaseUnavailable, match="Timeout"):
            async with database.session() as session:
                await session.execute(text("SELECT pg_sleep(60)"))
        assert database.problem is not None
    finally:
        await database.close()

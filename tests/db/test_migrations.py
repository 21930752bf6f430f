from __future__ import annotations

import asyncio

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from app.db.database import async_url
from app.db.migrate import alembic_config, upgrade
from app.db.models import Base


async def test_the_migrations_make_the_tables_of_the_models(empty_database: str) -> None:
    engine = create_async_engine(async_url(empty_database))

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, Base.metadata))

    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) != []
        await upgrade(engine)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            names = await connection.run_sync(
                lambda c: {check["name"] for check in inspect(c).get_check_constraints("training_jobs")}
            )
            assert names == {"ck_training_jobs_state"}
    finally:
        await engine.dispose()


async def test_several_processes_may_start_at_once(empty_database: str) -> None:
    engines = [create_async_engine(async_url(empty_database)) for _ in range(5)]
    try:
        await asyncio.gather(*(upgrade(engine) for engine in engines))
        async with engines[0].connect() as connection:
            tables = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
        assert tables == {*Base.metadata.tables, "alembic_version"}
    finally:
        for engine in engines:
            await engine.dispose()


JOB = (
    "INSERT INTO training_jobs (id, state, request, command, device, host, owner) "
    "VALUES ('one', 'finished', '{}', '[]', 'cpu', 'here', 'here/1/0')"
)
USER = (
    "INSERT INTO users (id, email, password_hash) VALUES ('00000000-0000-0000-0000-000000000001', 'a@b.org', 'x');"
    "INSERT INTO api_keys (id, user_id, name, hint, digest, scopes) VALUES (gen_random_uuid(), "
    "'00000000-0000-0000-0000-000000000001', 'kiosk', 'gl_abc', 'd', '{captions}')"
)


CREDITS = (
    "INSERT INTO ledger (user_id, kind, amount) VALUES ('00000000-0000-0000-0000-000000000001', 'adjust', 10);"
    "INSERT INTO ledger (user_id, kind, amount) VALUES ('00000000-0000-0000-0000-000000000001', 'debit', -3);"
    "INSERT INTO subscriptions (user_id, plan, source, status) "
    "VALUES ('00000000-0000-0000-0000-000000000001', 'pro', 'admin', 'active')"
)


@pytest.mark.parametrize(
    ("version", "rows"),
    [("0001", JOB), ("0002_accounts", f"{JOB};{USER}"), ("0003_credits", f"{JOB};{USER};{CREDITS}")],
)
async def test_rows_of_an_earlier_version_survive_the_way_up_and_back(
    empty_database: str, version: str, rows: str
) -> None:
    engine = create_async_engine(async_url(empty_database))

    def content(connection: Connection) -> dict[str, list[str]]:
        names = sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
        return {name: [str(row) for row in connection.execute(text(f"SELECT * FROM {name}"))] for name in names}

    try:
        async with engine.begin() as connection:
            await connection.run_sync(lambda c: command.upgrade(alembic_config(c), version))
            for row in rows.split(";"):
                await connection.execute(text(row))
            before = await connection.run_sync(content)
        await upgrade(engine)
        async with engine.begin() as connection:
            above = await connection.run_sync(content)
            assert {name: above[name] for name in before if name in above} == before
            await connection.run_sync(lambda c: command.downgrade(alembic_config(c), version))
            assert await connection.run_sync(content) == before
    finally:
        await engine.dispose()


async def test_the_way_back_leaves_nothing(empty_database: str) -> None:
    engine = create_async_engine(async_url(empty_database))
    try:
        await upgrade(engine)
        async with engine.begin() as connection:
            await connection.run_sync(lambda c: command.downgrade(alembic_config(c), "base"))
            tables = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
        assert tables == {"alembic_version"}
    finally:
        await engine.dispose()

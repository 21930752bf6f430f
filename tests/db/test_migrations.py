from __future__ import annotations

import asyncio

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect
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

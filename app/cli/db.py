"""`db upgrade`: bring the tables of the database up to date, as the service does when it starts."""

from __future__ import annotations

import argparse
import asyncio
import sys


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("db", help="bring the database's tables up to date")
    parser.add_argument("action", choices=["upgrade"], help="run the migrations that are missing")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.errors import DatabaseUnavailable
    from app.core.settings import load_settings
    from app.db.database import Database

    settings = load_settings()
    url = settings.database_url.get_secret_value() if settings.database_url is not None else None

    async def upgrade(database: Database) -> None:
        try:
            await database.open()
        finally:
            await database.close()

    try:
        database = Database(url, settings.data_dir)
        asyncio.run(upgrade(database))
    except DatabaseUnavailable:
        print(f"The database cannot be reached: {database.problem}", file=sys.stderr)
        return 1
    except ValueError as problem:
        print(f"The database cannot be reached: {problem}", file=sys.stderr)
        return 1
    print(f"The tables are up to date ({database.where}).")
    return 0

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
    from app.core.settings import load_settings
    from app.db.database import Database, DatabaseUnavailable

    settings = load_settings()
    url = settings.database_url.get_secret_value() if settings.database_url is not None else None

    async def upgrade() -> str:
        database = Database(url, settings.data_dir)
        try:
            await database.open()
            return database.where
        finally:
            await database.close()

    try:
        print(f"The tables are up to date ({asyncio.run(upgrade())}).")
    except (DatabaseUnavailable, ValueError) as problem:
        print(f"The database cannot be reached: {problem}", file=sys.stderr)
        return 1
    return 0

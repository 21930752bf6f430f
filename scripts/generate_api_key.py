"""Make an API key for an account and print it, once: python scripts/generate_api_key.py EMAIL [--scopes captions ...]

It goes by the settings of the service (DATABASE_URL or DATA_DIR, AUTH_SECRET), which may run meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.core.errors import NotFound, ServiceError
from app.core.principal import SCOPES
from app.core.settings import Settings, SettingsError, load_settings
from app.services.accounts.offline import accounts_of


async def made(settings: Settings, email: str, name: str, scopes: list[str], days: int | None) -> str:
    """The key. Raises ServiceError."""
    async with accounts_of(settings) as (accounts, keys):
        user = await accounts.by_email(email)
        if user is None:
            raise NotFound(
                "There is no account with this e-mail address. Make one: python -m app admin create EMAIL --role user"
            )
        _, text = await keys.create(user.id, name, scopes, None if days is None else timedelta(days=days))
        return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("email", help="whose key it is")
    parser.add_argument("--name", default="from the command line", help="what the key is called in lists")
    parser.add_argument("--scopes", nargs="+", choices=SCOPES, default=["captions"], help="default: captions")
    parser.add_argument("--days", type=int, help="days that it is valid; default: until it is revoked")
    args = parser.parse_args()
    if args.days is not None and not 1 <= args.days <= 3650:
        parser.error("--days: 1 to 3650")
    try:
        print(asyncio.run(made(load_settings(), args.email, args.name, args.scopes, args.days)))
    except (ServiceError, SettingsError) as problem:
        print(problem.detail if isinstance(problem, ServiceError) else problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

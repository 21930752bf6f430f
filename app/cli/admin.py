"""`admin`: make the first admin, change roles, help somebody who has lost a password or an authenticator."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.services.accounts.service import Accounts

_ROLES = ("user", "operator", "admin")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("admin", help="make accounts, change their roles, reset a password")
    actions = parser.add_subparsers(dest="action", metavar="action", required=True)
    create = actions.add_parser("create", help="make an account; the password is asked for, or read from stdin")
    create.add_argument("email")
    create.add_argument("--role", choices=_ROLES, default="admin", help="default: admin")
    role = actions.add_parser("role", help="change the role of an account")
    role.add_argument("email")
    role.add_argument("role", choices=_ROLES)
    reset = actions.add_parser("reset", help="send a link for a new password: by mail, or into this output")
    reset.add_argument("email")
    factor = actions.add_parser("second-factor-off", help="for somebody who has lost the authenticator")
    factor.add_argument("email")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.core.errors import ServiceError
    from app.core.settings import load_settings
    from app.services.accounts.offline import accounts_of

    settings = load_settings()
    password = _password() if args.action == "create" else ""

    async def work() -> str:
        async with accounts_of(settings) as (accounts, _):
            return await _done(args, accounts, password)

    try:
        print(asyncio.run(work()))
    except ServiceError as problem:
        print(problem.detail, file=sys.stderr)
        return 1
    return 0


async def _done(args: argparse.Namespace, accounts: Accounts, password: str) -> str:
    """What was done. Raises ServiceError."""
    from app.core.errors import NotFound

    if args.action == "create":
        user = await accounts.create(args.email, password, args.role)
        return f"{user.email} has an account with the role '{user.role}' and can sign in."
    found = await accounts.by_email(args.email)
    if found is None:
        raise NotFound("There is no account with this e-mail address.")
    if args.action == "role":
        user = await accounts.change(found.id, args.role, None)
        return f"{user.email} has the role '{user.role}'."
    if args.action == "second-factor-off":
        await accounts.drop_second_factor(found.id)
        return f"{found.email} has no second factor any more; all sign-ins have ended."
    await accounts.request_reset(args.email)
    return "A link is on its way." if accounts.by_mail else "SMTP_HOST is unset: the link is in the line above."


def _password() -> str:
    """Asked for twice at a terminal; elsewhere the first line of stdin."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != password:
        print("The two are not the same; nothing was made.", file=sys.stderr)
        raise SystemExit(2)
    return password

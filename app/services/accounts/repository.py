"""Accounts in the database: users, refresh tokens, API keys, tickets, links of password resets.

What expires does so by the clock of the database alone, so that machines whose clocks differ agree.

Locks are taken in one order, so that no two transactions wait for each other: the lock of a user's credits, the row of
the user (of several, by id), rows that belong to the user. Rows of users are locked so that foreign keys may still be
checked against them (FOR NO KEY UPDATE): what is written for an account meanwhile does not wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models.accounts import ApiKey, PasswordReset, RefreshToken, Ticket, User
from app.services.accounts.secret import SEALED

#: `last_used_at` of a key is written at most this often.
_USE_NOTED = timedelta(minutes=1)
_KEY_VALID = ApiKey.revoked_at.is_(None) & or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())


# -- users -----------------------------------------------------------------------------------------------------------


async def add_user(session: AsyncSession, email: str, password_hash: str, role: str) -> User | None:
    """None if the address has an account."""
    values = {"email": email, "password_hash": password_hash, "role": role}
    added = insert(User).values(values).on_conflict_do_nothing(index_elements=[User.email]).returning(User)
    return await session.scalar(added)


async def user(session: AsyncSession, user_id: UUID, *, lock: bool = False) -> User | None:
    query = select(User).where(User.id == user_id)
    return await session.scalar(query.with_for_update(key_share=True) if lock else query)


async def user_by_email(session: AsyncSession, email: str, *, lock: bool = False) -> User | None:
    query = select(User).where(User.email == email)
    return await session.scalar(query.with_for_update(key_share=True) if lock else query)


async def users(session: AsyncSession, limit: int, offset: int, email: str | None) -> tuple[Sequence[User], int]:
    """Newest first, and how many there are; email: a part of the address."""
    query = select(User)
    if email:
        query = query.where(User.email.contains(email.lower(), autoescape=True))
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    page = query.order_by(User.created_at.desc(), User.id).limit(limit).offset(offset)
    return (await session.scalars(page)).all(), total or 0


async def with_plain_second_factor(session: AsyncSession) -> Sequence[User]:
    """Locked: those whose secret is stored as it is."""
    query = select(User).where(User.totp_secret.is_not(None), ~User.totp_secret.startswith(SEALED, autoescape=True))
    return (await session.scalars(query.order_by(User.id).with_for_update(key_share=True))).all()


async def number_of_admins(session: AsyncSession) -> int:
    """Those that are not disabled; their rows are locked, so that two cannot remove one another."""
    query = select(User.id).where(User.role == "admin", User.disabled_at.is_(None)).order_by(User.id)
    query = query.with_for_update(key_share=True)
    return len((await session.scalars(query)).all())


# -- refresh tokens --------------------------------------------------------------------------------------------------


async def refresh_token(session: AsyncSession, token_id: UUID) -> RefreshToken | None:
    """Locked: of two requests with one token, the second sees that it was used. Lock its user first."""
    return await session.scalar(select(RefreshToken).where(RefreshToken.id == token_id).with_for_update())


async def seconds_since(session: AsyncSession, moment: datetime) -> float:
    """By the clock of the database, which all processes share."""
    return float(await session.scalar(select(func.extract("epoch", func.clock_timestamp() - moment))) or 0)


async def use_up(session: AsyncSession, family: UUID) -> None:
    """The refresh tokens of a sign-in that were not exchanged yet."""
    unused = update(RefreshToken).where(RefreshToken.family == family, RefreshToken.used_at.is_(None))
    await session.execute(unused.values(used_at=func.now()))


async def revoke_refresh_tokens(session: AsyncSession, user_id: UUID, family: UUID | None = None) -> None:
    """All of an account, or those of one sign-in."""
    of = update(RefreshToken).where(RefreshToken.user_id == user_id, RefreshToken.revoked_at.is_(None))
    if family is not None:
        of = of.where(RefreshToken.family == family)
    await session.execute(of.values(revoked_at=func.now()))


# -- API keys --------------------------------------------------------------------------------------------------------


async def keys(session: AsyncSession, user_id: UUID) -> Sequence[ApiKey]:
    """Of one account, newest first, revoked and expired ones too."""
    query = select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at.desc(), ApiKey.id)
    return (await session.scalars(query)).all()


async def valid_keys(session: AsyncSession, user_id: UUID) -> int:
    query = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == user_id, _KEY_VALID)
    return await session.scalar(query) or 0


async def key_of(session: AsyncSession, digest: bytes) -> tuple[ApiKey, User] | None:
    """A valid key and whose it is; its use is noted."""
    old = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - _USE_NOTED)
    query = select(ApiKey, User, old).join(User, User.id == ApiKey.user_id).where(ApiKey.digest == digest, _KEY_VALID)
    found = (await session.execute(query)).one_or_none()
    if found is None:
        return None
    key, owner, is_old = found
    if is_old:
        await session.execute(update(ApiKey).where(ApiKey.id == key.id, old).values(last_used_at=func.now()))
    return key, owner


async def is_valid_key(session: AsyncSession, key_id: UUID) -> bool:
    return await session.scalar(select(ApiKey.id).where(ApiKey.id == key_id, _KEY_VALID)) is not None


async def revoke_key(session: AsyncSession, user_id: UUID, key_id: UUID) -> bool:
    """False if this account has no such key; one that is revoked stays so."""
    mine = update(ApiKey).where(ApiKey.id == key_id, ApiKey.user_id == user_id)
    revoked = mine.values(revoked_at=func.coalesce(ApiKey.revoked_at, func.now())).returning(ApiKey.id)
    return await session.scalar(revoked) is not None


# -- tickets and links, each used once -------------------------------------------------------------------------------


async def take_ticket(session: AsyncSession, digest: bytes) -> tuple[User, UUID | None, list[str]] | None:
    """Whose ticket it is, the key that asked for it, its scopes; it is gone afterwards. None: no such ticket, too old,
    or made with a key that is not valid any more."""
    taken = delete(Ticket).where(Ticket.digest == digest, Ticket.expires_at > func.now())
    found = (await session.execute(taken.returning(Ticket.user_id, Ticket.key_id, Ticket.scopes))).one_or_none()
    if found is None:
        return None
    if found.key_id is not None and not await is_valid_key(session, found.key_id):
        return None
    owner = await user(session, found.user_id)
    return None if owner is None else (owner, found.key_id, found.scopes)


async def take_reset(session: AsyncSession, digest: bytes) -> User | None:
    """Whose link it is; all links of the account are gone afterwards. None: no such link, or too old."""
    of_link = PasswordReset.digest == digest, PasswordReset.expires_at > func.now()
    user_id = await session.scalar(select(PasswordReset.user_id).where(*of_link))
    owner = None if user_id is None else await user(session, user_id, lock=True)
    if owner is None or await session.scalar(delete(PasswordReset).where(*of_link).returning(literal(1))) is None:
        return None
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user_id))
    return owner


async def remove_expired(session: AsyncSession) -> None:
    """Rows that open nothing any more."""
    tables: Iterable[tuple[Any, ColumnElement[bool]]] = (
        (RefreshToken, RefreshToken.expires_at < func.now()),
        (Ticket, Ticket.expires_at < func.now()),
        (PasswordReset, PasswordReset.expires_at < func.now()),
    )
    for table, expired in tables:
        await session.execute(delete(table).where(expired))

"""API keys for programs, and the tickets with which browsers open sockets."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func

from app.core import errors
from app.core.principal import ALL_SCOPES, Principal
from app.core.settings import Settings
from app.db.database import Database
from app.db.models.accounts import ApiKey, Ticket, User
from app.services.accounts import repository
from app.services.accounts.secret import Secret

#: How every key begins, so that people and scanners recognise one.
PREFIX = "gl_"
#: Characters of the start of a key that stay readable.
_HINT = len(PREFIX) + 6
#: Longer ones are not looked at.
_LONGEST = 200
GONE = "The account is gone. Sign in with another."


class Keys:
    """Keys and tickets: random texts of which an HMAC is stored. Methods raise DatabaseUnavailable."""

    def __init__(self, settings: Settings, database: Database, secret: Secret) -> None:
        self._settings, self._database, self._secret = settings, database, secret

    async def create(
        self, user_id: UUID, name: str, scopes: Collection[str], lifetime: timedelta | None
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which cannot be shown again. Raises TooManyKeys, Unauthenticated."""
        text = PREFIX + secrets.token_urlsafe(32)
        async with self._database.session() as session:
            if await repository.user(session, user_id, lock=True) is None:  # counts and adds one at a time
                raise errors.Unauthenticated(GONE)
            if await repository.valid_keys(session, user_id) >= self._settings.max_api_keys:
                raise errors.TooManyKeys(
                    f"The account has {self._settings.max_api_keys} API keys, the limit of this service. Revoke one "
                    "that is not in use."
                )
            key = ApiKey(
                user_id=user_id,
                name=name,
                hint=text[:_HINT],
                digest=self._secret.digest("key", text),
                scopes=sorted(scopes),
                expires_at=None if lifetime is None else func.now() + lifetime,
            )
            session.add(key)
            await session.flush()
            await session.refresh(key)
        return key, text

    async def all_of(self, user_id: UUID) -> Sequence[ApiKey]:
        """Newest first, revoked and expired ones too."""
        async with self._database.session() as session:
            return await repository.keys(session, user_id)

    async def revoke(self, user_id: UUID, key_id: UUID) -> None:
        """Raises NotFound, for keys of others too."""
        async with self._database.session() as session:
            if not await repository.revoke_key(session, user_id, key_id):
                raise errors.NotFound("You have no API key with this id. GET /api/keys lists yours.")

    async def owner_of(self, text: str) -> tuple[ApiKey, User]:
        """Raises Unauthenticated."""
        found = None
        if len(text) <= _LONGEST:
            async with self._database.session() as session:
                found = await repository.key_of(session, self._secret.digest("key", text))
        if found is None or found[1].disabled_at is not None:
            raise errors.Unauthenticated("The API key is not valid: it is wrong, expired or revoked. Make another.")
        return found

    async def make_ticket(self, principal: Principal) -> str:
        """A text that opens one socket as this principal, within TICKET_SECONDS. Raises Unauthenticated."""
        if principal.user_id is None:
            raise errors.Unauthenticated("Tickets are for those who have signed in; anonymous use needs none.")
        text = secrets.token_urlsafe(24)
        lifetime = timedelta(seconds=self._settings.ticket_seconds)
        async with self._database.session() as session:
            if await repository.user(session, principal.user_id, lock=True) is None:  # before the key it is made with
                raise errors.Unauthenticated(GONE)
            session.add(
                Ticket(
                    digest=self._secret.digest("ticket", text),
                    user_id=principal.user_id,
                    key_id=principal.key_id,
                    scopes=sorted(principal.scopes & ALL_SCOPES),
                    expires_at=func.now() + lifetime,
                )
            )
        return text

    async def take_ticket(self, text: str) -> tuple[User, UUID | None, frozenset[str]]:
        """Whose ticket it is, the key that asked for it, its scopes; it is used up. Raises Unauthenticated."""
        found = None
        if len(text) <= _LONGEST:
            async with self._database.session() as session:
                found = await repository.take_ticket(session, self._secret.digest("ticket", text))
        if found is None or found[0].disabled_at is not None:
            raise errors.Unauthenticated("The ticket is not valid: each opens one socket, soon after it was made.")
        user, key_id, scopes = found
        return user, key_id, frozenset(scopes)

"""Who asks: the principal of a request or connection, from what it sent, the same at every door."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import SecretStr

from app.core.errors import DatabaseUnavailable, Forbidden, Unauthenticated
from app.core.network import address_key, is_loopback
from app.core.principal import ALL_SCOPES, Principal, Role
from app.core.settings import Settings
from app.services.accounts.keys import PREFIX, Keys
from app.services.accounts.rate_limits import RateLimits
from app.services.accounts.service import Accounts


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What was sent; the first of these that is given counts. Without a repr, so that no log shows it."""

    ticket: str | None = None
    key: str | None = None
    """An API key, from the header X-API-Key."""
    bearer: str | None = None
    """From the header Authorization: an access token, an API key or TRAINING_TOKEN."""

    @classmethod
    def of_headers(cls, headers: Mapping[str, str], ticket: str | None = None) -> Credentials:
        """headers: with names in lower case. Other schemes than Bearer are for somebody else, such as a proxy."""
        scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
        bearer = rest.strip() if scheme.lower() == "bearer" else ""
        return cls(ticket or None, headers.get("x-api-key", "").strip() or None, bearer or None)


class Access:
    """Tells who asks. Without a database there are no accounts: anonymous use and TRAINING_TOKEN remain."""

    def __init__(self, settings: Settings, accounts: Accounts | None, keys: Keys | None, limits: RateLimits) -> None:
        self._settings, self._accounts, self._keys, self._limits = settings, accounts, keys, limits

    async def authenticate(self, credentials: Credentials, address: str | None) -> Principal:
        """Counts the request. Raises Unauthenticated, TooManyRequests, DatabaseUnavailable."""
        where = address or ""
        try:
            principal = await self._principal(credentials, where)
        except Unauthenticated:
            await self._limits.request(f"address/{address_key(where)}")
            raise
        if principal.user_id is not None:
            await self._limits.request(f"user/{principal.user_id}")
            if principal.key_id is not None:
                await self._limits.request(f"key/{principal.key_id}")
        elif not is_loopback(where):
            await self._limits.request(f"address/{address_key(where)}")
        return principal

    async def recheck(self, principal: Principal) -> None:
        """For connections that last: whether its account and key are still good. Raises Unauthenticated; without the
        database, what was good stays so."""
        if principal.user_id is not None and self._accounts is not None:
            with contextlib.suppress(DatabaseUnavailable):
                await self._accounts.check_standing(principal.user_id, principal.key_id, principal.sign_in)

    async def _principal(self, given: Credentials, address: str) -> Principal:
        if given.ticket is not None and self._keys is not None:
            user, key_id, scopes = await self._keys.take_ticket(given.ticket)
            return Principal(user.id, cast(Role, user.role), scopes, key_id, address, user.sign_ins_from)
        key = given.key or (given.bearer if (given.bearer or "").startswith(PREFIX) else None)
        if key is not None and self._keys is not None:
            row, user = await self._keys.owner_of(key)
            return Principal(user.id, cast(Role, user.role), frozenset(row.scopes), row.id, address, user.sign_ins_from)
        if given.bearer is not None:
            if _same(given.bearer, self._settings.training_token):
                # In AUTH_MODE=open it takes nothing away from what an anonymous client may do.
                more = set() if self._settings.auth_mode == "required" else {"captions"}
                return Principal(None, "operator", frozenset({"training", *more}), None, address)
            if self._accounts is not None:
                user = await self._accounts.user_of(given.bearer)
                return Principal(user.id, cast(Role, user.role), ALL_SCOPES, None, address, user.sign_ins_from)
        if given != Credentials():
            raise Unauthenticated("This service has no accounts (no database), so it knows no tokens and keys.")
        if self._settings.auth_mode == "required":
            raise Unauthenticated
        return Principal(None, "user", frozenset({"captions"}), None, address)

    def is_metrics_token(self, given: Credentials) -> bool:
        return _same(given.bearer, self._settings.metrics_token)


def _same(given: str | None, known: SecretStr | None) -> bool:
    if given is None or known is None:
        return False
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), known.get_secret_value().encode())


def check(principal: Principal, scope: str | None = None, role: Role = "user") -> None:
    """Raises Forbidden unless the principal has the scope and the role."""
    if scope is not None and scope not in principal.scopes:
        raise Forbidden(f"This needs the scope '{scope}', which this key or token does not have.")
    if not principal.has_role(role):
        raise Forbidden(f"This needs the role '{role}'; the account has '{principal.role}'. An admin can change it.")

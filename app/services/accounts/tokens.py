"""Signed tokens: access tokens, which say who asks, refresh tokens, which get the next pair, and those of admins."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import jwt

from app.core.errors import Unauthenticated

ALGORITHM = "HS256"
ISSUER, AUDIENCE = "glossline", "glossline"
#: Clocks of several machines may differ by this many seconds.
LEEWAY_S = 10
#: Longer ones are not looked at.
LONGEST = 2048

#: `admin`: of the pages at /admin, in a cookie.
Kind = Literal["access", "refresh", "admin"]


@dataclass(frozen=True, slots=True)
class Token:
    """What a valid token says."""

    id: UUID
    user_id: UUID
    number: int
    """Of an access token: valid while the account's `sign_ins_from` is not larger."""


class Tokens:
    """Makes and reads tokens. One algorithm; a token of one kind is not valid as another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, kind: Kind, token: Token, lifetime_s: float) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "typ": kind,
            "jti": str(token.id),
            "sub": str(token.user_id),
            "ver": token.number,
            "iat": now,
            "exp": now + max(1, int(lifetime_s)),
        }
        return jwt.encode(claims, self._key, ALGORITHM)

    def read(self, kind: Kind, text: str) -> Token:
        """Raises Unauthenticated: the text is no token of this kind, was changed, or is not valid at this time."""
        try:
            if len(text) > LONGEST:
                raise jwt.InvalidTokenError("too long")
            claims: dict[str, Any] = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_S,
                options={"require": ["iss", "aud", "typ", "jti", "sub", "ver", "iat", "exp"]},
            )
            if claims["typ"] != kind:
                raise Unauthenticated(f"This is not a token of kind '{kind}'. Send the {kind} token.")
            return Token(UUID(claims["jti"]), UUID(claims["sub"]), int(claims["ver"]))
        except jwt.ExpiredSignatureError:
            wanted = "POST /api/auth/refresh gives another" if kind == "access" else "Sign in again"
            raise Unauthenticated(f"The {kind} token has expired. {wanted}.") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, UnicodeError, RecursionError):
            raise Unauthenticated(f"The {kind} token is not valid. Sign in again.") from None

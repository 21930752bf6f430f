"""Who a request comes from: the account, its role, what it may do, and the address."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Role = Literal["user", "operator", "admin"]
#: From the least to the most that a role may do; each may do what those before it may.
ROLES: tuple[Role, ...] = ("user", "operator", "admin")
#: What an API key may be limited to.
SCOPES = ("captions", "training", "history", "account")
ALL_SCOPES = frozenset(SCOPES)


@dataclass(frozen=True, slots=True)
class Principal:
    """One per request or connection. It does not change; long connections are checked again, see `Access.recheck`."""

    user_id: UUID | None
    """The account; None: anonymous, in AUTH_MODE=open, or the holder of TRAINING_TOKEN."""
    role: Role
    scopes: frozenset[str]
    """Of an API key, those it was made with; signed in, all."""
    key_id: UUID | None
    """The API key that was sent; None without one."""
    address: str
    """Where the connection comes from; empty where the server does not say."""
    sign_in: int = field(default=0, compare=False)
    """The account's `sign_ins_from` when this was made: a larger one means that it has signed out everywhere."""

    def has_role(self, role: Role) -> bool:
        """Whether this is of that role or one above it."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def limit_key(self) -> str:
        """What rate limits count by: the key, else the account, else the address."""
        if self.key_id is not None:
            return f"key/{self.key_id}"
        return f"user/{self.user_id}" if self.user_id is not None else f"address/{self.address}"


#: Somebody of whom nothing is known, in AUTH_MODE=open.
ANONYMOUS = Principal(None, "user", frozenset({"captions"}), None, "")

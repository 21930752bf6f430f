"""Bodies and answers of the routes of accounts and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from app.core.principal import Role
from app.db.models import ApiKey as KeyRow
from app.db.models import User as UserRow
from app.services.accounts.service import SignIn

Scope = Literal["captions", "training", "history", "account"]
#: Text of one line that people read; control characters could change how a list of them looks.
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
]
Email = Annotated[str, Field(max_length=320, description="An e-mail address.", examples=["ann@example.org"])]
#: Longer than any password that is accepted, so that the answer says what is wrong with it.
Password = Annotated[
    str, Field(max_length=4096, description="10 to 256 characters.", examples=["a few words of your own"])
]
Code = Annotated[str, Field(pattern="^[0-9]{6}$", description="Six digits of the authenticator.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    pass


class WithCookie(_Body):
    cookie: bool = Field(
        False,
        description="For pages of this service: the refresh token comes in an HttpOnly cookie, not in the answer.",
    )


class Registration(WithCookie):
    email: Email
    password: Password


class SignInRequest(WithCookie):
    email: Email
    password: Password
    code: Code | None = Field(None, description="Of the second factor, where the account has one.")


class RefreshRequest(WithCookie):
    refresh_token: str | None = Field(None, max_length=4096, description="Not needed where the cookie has it.")


class PasswordChange(WithCookie):
    old_password: Password
    new_password: Password


class ResetRequest(_Body):
    email: Email


class Reset(_Body):
    token: str = Field(max_length=200, description="From the link.")
    new_password: Password


class SecondFactorCode(_Body):
    code: Code


class SecondFactorOff(_Body):
    password: Password


class User(_Answer):
    """An account."""

    id: UUID
    email: str
    role: Role
    second_factor: bool = Field(description="Whether signing in needs a code.")
    disabled: bool
    created_at: datetime

    @classmethod
    def of(cls, row: UserRow) -> User:
        return cls(
            id=row.id,
            email=row.email,
            role=row.role,  # type: ignore[arg-type]
            second_factor=row.totp_on,
            disabled=row.disabled_at is not None,
            created_at=row.created_at,
        )


class Users(_Answer):
    users: list[User]
    total: int
    limit: int
    offset: int


class UserChange(_Body):
    role: Role | None = None
    disabled: bool | None = Field(None, description="A disabled account can do nothing.")
    reason: Annotated[
        str | None, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="For the log.")
    ] = None


class SignedIn(_Answer):
    """Tokens of a sign-in. The refresh token works once, for the next pair; used twice, it ends the sign-in."""

    access_token: str
    refresh_token: str | None = Field(description="null: it is in the cookie that was asked for.")
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Seconds that the access token is valid.")
    user: User

    @classmethod
    def of(cls, found: SignIn, in_cookie: bool) -> SignedIn:
        return cls(
            access_token=found.access_token,
            refresh_token=None if in_cookie else found.refresh_token,
            expires_in=found.expires_in_s,
            user=User.of(found.user),
        )


class Options(_Answer):
    """How people sign in at this service, and what else it offers them."""

    auth_mode: Literal["open", "required"] = Field(description="open: everything but accounts works without one.")
    accounts: bool = Field(description="Whether there are accounts; they need a database.")
    registration: bool = Field(description="Whether people may make accounts for themselves.")
    reset_by: Literal["mail", "log"] = Field(description="Where links of password resets go.")
    charging: bool = Field(description="Whether captions cost credits.")
    payments: bool = Field(description="Whether plans can be bought here.")
    history_days: int | None = Field(description="Days that stored captions are kept; null: until they are deleted.")


class ResetSent(_Answer):
    """The same answer whether the address has an account or not."""

    by: Literal["mail", "log"] = Field(description="Without a mail server, the link stands in the log of the service.")
    detail: str


class SecondFactor(_Answer):
    secret: str = Field(description="Base32, for an authenticator.")
    uri: str = Field(description="The same as an otpauth:// address.")
    qr: str = Field(description="The address as a QR code: a data: URL of an SVG image.")


class Ticket(_Answer):
    ticket: str = Field(description="For `?ticket=` of a WebSocket, or `auth: {ticket}` of Socket.IO; opens one.")
    expires_in: float = Field(description="Seconds.")


class NewKey(_Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "kiosk in the hall", "scopes": ["captions"], "days": 90}]},
    )

    name: Line
    scopes: list[Scope] = Field(default=["captions"], min_length=1, max_length=4)
    days: int | None = Field(None, ge=1, le=3650, description="Days that it is valid; null = until it is revoked.")


class Key(_Answer):
    """An API key, without the key."""

    id: UUID
    name: str
    hint: str = Field(description="How the key begins.")
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: KeyRow) -> Key:
        return cls.model_validate(row, from_attributes=True)


class Keys(_Answer):
    keys: list[Key]


class CreatedKey(_Answer):
    """The only answer that holds the key itself."""

    key: str = Field(description="Shown here and never again: the service keeps only an HMAC of it.")
    info: Key

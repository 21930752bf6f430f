"""The tables of accounts: users, the refresh tokens of their sign-ins, API keys, tickets and password resets."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.core.principal import ROLES
from app.db.models.base import Base

_MOMENT = DateTime(timezone=True)


class User(Base):
    """A person with an account."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN (" + ", ".join(f"'{role}'" for role in ROLES) + ")", name="role"),
        Index("uq_users_email", "email", unique=True),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    email: Mapped[str]
    """As `app.services.accounts.emails` normalises it: two spellings of one address are one account."""
    password_hash: Mapped[str]
    """Argon2id, with its salt and parameters."""
    role: Mapped[str] = mapped_column(server_default=text("'user'"))
    """One of ROLES."""
    sign_ins_from: Mapped[int] = mapped_column(server_default=text("0"))
    """Access tokens with a lower number are void: it grows with "sign out everywhere" and a new password."""
    totp_secret: Mapped[str | None]
    """Of a second factor that is on, or that is being set up: encrypted under AUTH_SECRET; Base32 where an earlier
    version has written it."""
    totp_on: Mapped[bool] = mapped_column(server_default=text("false"))
    totp_step: Mapped[int | None]
    """The time step of the last code that was accepted: a code counts once."""
    disabled_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """Set by an admin: the account can do nothing from then on."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class RefreshToken(Base):
    """A refresh token that was given out. Each is used once, for the next one of its family, which is one sign-in."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("ix_refresh_tokens_user_id", "user_id"),
        Index("ix_refresh_tokens_family", "family"),
        Index("ix_refresh_tokens_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    """The token's `jti`; the token itself, which is signed, is not stored."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    family: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)
    used_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """When it was exchanged. A second use means that a copy exists: the whole family is revoked."""
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class ApiKey(Base):
    """A key for programs, shown to its owner once."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("uq_api_keys_digest", "digest", unique=True),
        Index("ix_api_keys_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    """What its owner calls it."""
    hint: Mapped[str]
    """Its first characters, by which its owner recognises it."""
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """HMAC-SHA256 of the key under AUTH_SECRET."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    expires_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """None: it does not expire."""
    last_used_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    """To the minute: it is not written with every request."""
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class Ticket(Base):
    """A ticket with which a browser, which cannot send headers there, opens one socket."""

    __tablename__ = "tickets"
    __table_args__ = (Index("ix_tickets_expires_at", "expires_at"), Index("ix_tickets_user_id", "user_id"))

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """HMAC-SHA256 of the ticket under AUTH_SECRET."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    """The API key that asked for it, whose scopes then apply."""
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)


class PasswordReset(Base):
    """A link that was mailed to set a new password; it works once."""

    __tablename__ = "password_resets"
    __table_args__ = (
        Index("ix_password_resets_expires_at", "expires_at"),
        Index("ix_password_resets_user_id", "user_id"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """HMAC-SHA256 of the link's token under AUTH_SECRET."""
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)

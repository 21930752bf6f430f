"""The tables of credits: the ledger, reservations, subscriptions, Stripe's events, idempotency keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.db.models.base import Base

_MOMENT = DateTime(timezone=True)
_OPEN = text("state = 'open'")


class LedgerEntry(Base):
    """A change of a user's balance. Only inserts are possible, which triggers of the migration see to; they also set
    `number` and `balance`. Once its user is deleted, an entry stays without one."""

    __tablename__ = "ledger"
    __table_args__ = (
        CheckConstraint("balance >= 0", name="balance"),
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("kind IN ('grant', 'expire', 'debit', 'adjust', 'refund')", name="kind"),
        Index("uq_ledger_user_id_number", "user_id", "number", unique=True),
        Index("uq_ledger_user_id_key", "user_id", "key", unique=True),
        Index("uq_ledger_reservation_id", "reservation_id", unique=True),
        Index("ix_ledger_user_id_created_at", "user_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    number: Mapped[int] = mapped_column(BigInteger)
    """1, 2, 3 ... of each user."""
    kind: Mapped[str]
    """`grant` and `expire`: of a plan's monthly credits; `debit`: used; `adjust`: by an admin; `refund`: taken back
    because a payment was returned."""
    amount: Mapped[int] = mapped_column(BigInteger)
    """Credits; negative: taken."""
    balance: Mapped[int] = mapped_column(BigInteger)
    """Sum of the amounts up to this one."""
    seconds: Mapped[float | None] = mapped_column(Double)
    """Of a debit: what was used."""
    source: Mapped[str | None]
    """Of a debit: `clip` or `live`; of a grant: the plan."""
    period: Mapped[str | None]
    """Of a grant: its month, such as 2026-11."""
    key: Mapped[str | None]
    """Names what happens once for a user, such as the grant of a month."""
    reservation_id: Mapped[UUID | None]
    """Of a debit: each reservation is settled once."""
    reason: Mapped[str | None]
    actor: Mapped[UUID | None]
    """The admin who adjusted it."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class ReservationRow(Base):
    """Credits set aside for work that has begun."""

    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("amount >= 0", name="amount"),
        CheckConstraint("kind IN ('clip', 'live')", name="kind"),
        CheckConstraint("state IN ('open', 'settled', 'released')", name="state"),
        Index("ix_reservations_open", "user_id", postgresql_where=_OPEN),
        Index("ix_reservations_open_owner", "owner", postgresql_where=_OPEN),
        Index("ix_reservations_user_id", "user_id"),
        Index("ix_reservations_closed_at", "closed_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    amount: Mapped[int] = mapped_column(BigInteger)
    """Credits that nothing else can use while it is open."""
    used_s: Mapped[float] = mapped_column(Double, server_default=text("0"))
    """Seconds known to be used, for when the process dies."""
    owner: Mapped[str]
    """The process of the service that works for it."""
    owner_seen: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    """When the owner last sent a heartbeat."""
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    closed_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class Subscription(Base):
    """The plan of a user; users without a row have the plan that is free."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        CheckConstraint("source IN ('stripe', 'admin')", name="source"),
        Index("uq_subscriptions_customer_id", "customer_id", unique=True),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    plan: Mapped[str]
    """Name of a plan (see app.services.billing.plans)."""
    source: Mapped[str]
    """`stripe`, or `admin` for a plan that an admin gave."""
    status: Mapped[str]
    """Stripe's: `active`, `trialing`, `past_due`, `canceled` ...; `none` before there is a subscription."""
    customer_id: Mapped[str | None]
    """At Stripe."""
    subscription_id: Mapped[str | None]
    """At Stripe."""
    period_end: Mapped[datetime | None] = mapped_column(_MOMENT)
    """Up to when it is paid."""
    ends_at_period_end: Mapped[bool] = mapped_column(server_default=text("false"))
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class StripeEvent(Base):
    """An event of Stripe that has had its effect."""

    __tablename__ = "stripe_events"

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    created: Mapped[datetime] = mapped_column(_MOMENT)
    received_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class Idempotency(Base):
    """A paid request that carried an Idempotency-Key, and its answer."""

    __tablename__ = "idempotency"
    __table_args__ = (
        Index("ix_idempotency_reservation_id", "reservation_id"),
        Index("ix_idempotency_created_at", "created_at"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the request."""
    reservation_id: Mapped[UUID]
    """What it costs; while that is open, the request is being worked on."""
    media_type: Mapped[str | None]
    answer: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())

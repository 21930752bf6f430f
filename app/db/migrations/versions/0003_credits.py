"""Credits: the ledger, which only grows, reservations, subscriptions, Stripe's events, idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_credits"
down_revision = "0002_accounts"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)

#: Number and balance of an entry are set here, under the lock of its user, whatever the insert says: the balance of the
#: newest entry is the sum of all.
_APPEND = """
CREATE FUNCTION ledger_append() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_number bigint;
    last_balance bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1735159669, hashtext(NEW.user_id::text));
    SELECT number, balance INTO last_number, last_balance
        FROM ledger WHERE user_id = NEW.user_id ORDER BY number DESC LIMIT 1;
    NEW.number := coalesce(last_number, 0) + 1;
    NEW.balance := coalesce(last_balance, 0) + NEW.amount;
    RETURN NEW;
END $$
"""
#: The one change allowed is what the foreign key does when the user is deleted.
_KEEP = """
CREATE FUNCTION ledger_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.user_id IS NOT NULL AND NEW.user_id IS NULL
            AND to_jsonb(OLD) - 'user_id' = to_jsonb(NEW) - 'user_id'
            AND NOT EXISTS (SELECT FROM users WHERE id = OLD.user_id)
        THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'the ledger only grows: % is not allowed', TG_OP USING ERRCODE = 'restrict_violation';
END $$
"""


def _user(table: str, ondelete: str, nullable: bool = False) -> tuple[sa.Column[object], sa.ForeignKeyConstraint]:
    key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete=ondelete, name=f"fk_{table}_user_id_users")
    return sa.Column("user_id", sa.Uuid, nullable=nullable), key


def upgrade() -> None:
    op.create_table(
        "ledger",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), nullable=False),
        *_user("ledger", "SET NULL", nullable=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("source", sa.String),
        sa.Column("period", sa.String),
        sa.Column("key", sa.String),
        sa.Column("reservation_id", sa.Uuid),
        sa.Column("reason", sa.String),
        sa.Column("actor", sa.Uuid),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger"),
        sa.CheckConstraint("balance >= 0", name="balance"),
        sa.CheckConstraint("amount <> 0", name="amount"),
        sa.CheckConstraint("kind IN ('grant', 'expire', 'debit', 'adjust', 'refund')", name="kind"),
    )
    op.create_index("uq_ledger_user_id_number", "ledger", ["user_id", "number"], unique=True)
    op.create_index("uq_ledger_user_id_key", "ledger", ["user_id", "key"], unique=True)
    op.create_index("uq_ledger_reservation_id", "ledger", ["reservation_id"], unique=True)
    op.create_index("ix_ledger_user_id_created_at", "ledger", ["user_id", "created_at"])
    op.execute(_APPEND)
    op.execute(_KEEP)
    op.execute("CREATE TRIGGER ledger_append BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_append()")
    op.execute(
        "CREATE TRIGGER ledger_keep BEFORE UPDATE OR DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_keep()"
    )
    op.execute(
        "CREATE TRIGGER ledger_keep_all BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION ledger_keep()"
    )
    op.create_table(
        "reservations",
        sa.Column("id", sa.Uuid, nullable=False),
        *_user("reservations", "CASCADE"),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("state", sa.String, server_default=sa.text("'open'"), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("used_s", sa.Double, server_default=sa.text("0"), nullable=False),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("owner_seen", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("closed_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_reservations"),
        sa.CheckConstraint("amount >= 0", name="amount"),
        sa.CheckConstraint("kind IN ('clip', 'live')", name="kind"),
        sa.CheckConstraint("state IN ('open', 'settled', 'released')", name="state"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index("ix_reservations_open", "reservations", ["user_id"], postgresql_where=is_open)
    op.create_index("ix_reservations_open_owner", "reservations", ["owner"], postgresql_where=is_open)
    op.create_index("ix_reservations_user_id", "reservations", ["user_id"])
    op.create_index("ix_reservations_closed_at", "reservations", ["closed_at"])
    op.create_table(
        "subscriptions",
        *_user("subscriptions", "CASCADE"),
        sa.Column("plan", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.String, nullable=False),
        sa.Column("customer_id", sa.String),
        sa.Column("subscription_id", sa.String),
        sa.Column("period_end", _MOMENT),
        sa.Column("ends_at_period_end", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("updated_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_subscriptions"),
        sa.CheckConstraint("source IN ('stripe', 'admin')", name="source"),
    )
    op.create_index("uq_subscriptions_customer_id", "subscriptions", ["customer_id"], unique=True)
    op.create_table(
        "stripe_events",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.Column("received_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_stripe_events"),
    )
    op.create_table(
        "idempotency",
        *_user("idempotency", "CASCADE"),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("reservation_id", sa.Uuid, nullable=False),
        sa.Column("media_type", sa.String),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_reservation_id", "idempotency", ["reservation_id"])
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def downgrade() -> None:
    for table in ("idempotency", "stripe_events", "subscriptions", "reservations", "ledger"):
        op.drop_table(table)
    op.execute("DROP FUNCTION ledger_append()")
    op.execute("DROP FUNCTION ledger_keep()")

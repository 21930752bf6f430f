"""Accounts: users, refresh tokens, API keys, tickets, password resets."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0002_accounts"
down_revision = "0001"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def _user_id(table: str) -> tuple[sa.Column[object], sa.ForeignKeyConstraint]:
    key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name=f"fk_{table}_user_id_users")
    return sa.Column("user_id", sa.Uuid, nullable=False), key


def _created() -> sa.Column[object]:
    return sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False)


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("email", sa.String, nullable=False),
        sa.Column("password_hash", sa.String, nullable=False),
        sa.Column("role", sa.String, server_default=sa.text("'user'"), nullable=False),
        sa.Column("sign_ins_from", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.Column("totp_secret", sa.String),
        sa.Column("totp_on", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("totp_step", sa.Integer),
        sa.Column("disabled_at", _MOMENT),
        _created(),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.CheckConstraint("role IN ('user', 'operator', 'admin')", name="role"),
    )
    op.create_index("uq_users_email", "users", ["email"], unique=True)
    op.create_table(
        "refresh_tokens",
        sa.Column("id", sa.Uuid, nullable=False),
        *_user_id("refresh_tokens"),
        sa.Column("family", sa.Uuid, nullable=False),
        _created(),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_refresh_tokens"),
    )
    for column in ("user_id", "family", "expires_at"):
        op.create_index(f"ix_refresh_tokens_{column}", "refresh_tokens", [column])
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, nullable=False),
        *_user_id("api_keys"),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("hint", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("scopes", ARRAY(sa.String), nullable=False),
        _created(),
        sa.Column("expires_at", _MOMENT),
        sa.Column("last_used_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
    )
    op.create_index("uq_api_keys_digest", "api_keys", ["digest"], unique=True)
    op.create_index("ix_api_keys_user_id", "api_keys", ["user_id"])
    op.create_table(
        "tickets",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        *_user_id("tickets"),
        sa.Column("key_id", sa.Uuid),
        sa.Column("scopes", ARRAY(sa.String), nullable=False),
        _created(),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tickets"),
        sa.ForeignKeyConstraint(["key_id"], ["api_keys.id"], ondelete="CASCADE", name="fk_tickets_key_id_api_keys"),
    )
    op.create_table(
        "password_resets",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        *_user_id("password_resets"),
        _created(),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_password_resets"),
    )
    for table in ("tickets", "password_resets"):
        for column in ("expires_at", "user_id"):
            op.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    for table in ("password_resets", "tickets", "api_keys", "refresh_tokens", "users"):
        op.drop_table(table)

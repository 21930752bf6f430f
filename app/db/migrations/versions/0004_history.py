"""History: caption sessions that are kept, and their lines with a full-text index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

revision = "0004_history"
down_revision = "0003_credits"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_WORDS = (
    "((sentence || ' '::text) || gloss_text) || ' '::text || "
    "COALESCE(corrected_sentence, ''::text) || ' '::text || COALESCE(corrected_gloss_text, ''::text)"
)
_SEARCHED = f"to_tsvector('english'::regconfig, {_WORDS}) || to_tsvector('simple'::regconfig, {_WORDS})"


def upgrade() -> None:
    op.create_table(
        "caption_sessions",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("live_session", sa.String),
        sa.Column("sign_language", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("vocabulary", sa.String, nullable=False),
        sa.Column("started_at", _MOMENT, nullable=False),
        sa.Column("ended_at", _MOMENT),
        sa.Column("duration_s", sa.Double, server_default=sa.text("0"), nullable=False),
        sa.Column("credits", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.Column("lines_lost", sa.Integer, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_caption_sessions"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], ondelete="CASCADE", name="fk_caption_sessions_user_id_users"
        ),
        sa.CheckConstraint("kind IN ('clip', 'live')", name="kind"),
    )
    op.create_index("ix_caption_sessions_user_id_started_at", "caption_sessions", ["user_id", "started_at", "id"])
    op.create_index("ix_caption_sessions_started_at", "caption_sessions", ["started_at"])
    op.create_table(
        "caption_lines",
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("end_ms", sa.BigInteger, nullable=False),
        sa.Column("glosses", JSONB, nullable=False),
        sa.Column("gloss_text", sa.String, nullable=False),
        sa.Column("sentence", sa.String, nullable=False),
        sa.Column("text", JSONB, nullable=False),
        sa.Column("partials", JSONB, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("vocabulary", sa.String, nullable=False),
        sa.Column("lag_ms", sa.Double, nullable=False),
        sa.Column("corrected_glosses", JSONB),
        sa.Column("corrected_gloss_text", sa.String),
        sa.Column("corrected_sentence", sa.String),
        sa.Column("corrected_at", _MOMENT),
        sa.Column("search", TSVECTOR, sa.Computed(_SEARCHED, persisted=True)),
        sa.PrimaryKeyConstraint("session_id", "number", name="pk_caption_lines"),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["caption_sessions.id"],
            ondelete="CASCADE",
            name="fk_caption_lines_session_id_caption_sessions",
        ),
    )
    op.create_index("ix_caption_lines_search", "caption_lines", ["search"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table("caption_lines")
    op.drop_table("caption_sessions")

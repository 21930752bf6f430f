"""Training jobs, and the active checkpoint."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATES = "'queued', 'starting', 'running', 'stopping', 'stopped', 'finished', 'failed', 'lost'"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "training_jobs",
        sa.Column("id", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("request", JSONB, nullable=False),
        sa.Column("command", JSONB, nullable=False),
        sa.Column("device", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("pid_started", sa.Double),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("owner_seen", moment, server_default=sa.func.now(), nullable=False),
        sa.Column("stop_asked", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("attempt", sa.Integer, server_default=sa.text("1"), nullable=False),
        sa.Column("progress", JSONB, server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("reason", sa.String),
        sa.Column("log_tail", sa.String),
        sa.Column("created_at", moment, server_default=sa.func.now(), nullable=False),
        sa.Column("started_at", moment),
        sa.Column("finished_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_training_jobs"),
        sa.CheckConstraint(f"state IN ({_STATES})", name="state"),
    )
    op.create_index("ix_training_jobs_created_at", "training_jobs", ["created_at"])
    op.create_index(
        "ix_training_jobs_active", "training_jobs", ["state"], postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_table(
        "active_checkpoints",
        sa.Column("configured", sa.String, nullable=False),
        sa.Column("checkpoint", sa.String, nullable=False),
        sa.Column("chosen_at", moment, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("configured", name="pk_active_checkpoints"),
    )


def downgrade() -> None:
    op.drop_table("active_checkpoints")
    op.drop_table("training_jobs")

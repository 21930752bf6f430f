"""Sign sets: signs that people teach."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005_sign_sets"
down_revision = "0004_history"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "sign_sets",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("sign_language", sa.String, nullable=False),
        sa.Column("keep_landmarks", sa.Boolean, server_default=sa.text("false"), nullable=False),
        sa.Column("share_digest", sa.String),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("changed_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_sets"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_sign_sets_user_id_users"),
    )
    op.create_index("ix_sign_sets_user_id", "sign_sets", ["user_id"])
    op.create_index("uq_sign_sets_share_digest", "sign_sets", ["share_digest"], unique=True)
    op.create_table(
        "taught_signs",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("set_id", sa.Uuid, nullable=False),
        sa.Column("gloss", sa.String, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_taught_signs"),
        sa.ForeignKeyConstraint(
            ["set_id"], ["sign_sets.id"], ondelete="CASCADE", name="fk_taught_signs_set_id_sign_sets"
        ),
    )
    op.create_index("uq_taught_signs_set_id_gloss", "taught_signs", ["set_id", "gloss"], unique=True)
    op.create_table(
        "sign_recordings",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("sign_id", sa.Uuid, nullable=False),
        sa.Column("space", sa.String, nullable=False),
        sa.Column("embedding", sa.LargeBinary, nullable=False),
        sa.Column("landmarks", sa.LargeBinary),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_recordings"),
        sa.ForeignKeyConstraint(
            ["sign_id"], ["taught_signs.id"], ondelete="CASCADE", name="fk_sign_recordings_sign_id_taught_signs"
        ),
    )
    op.create_index("ix_sign_recordings_sign_id", "sign_recordings", ["sign_id"])


def downgrade() -> None:
    op.drop_table("sign_recordings")
    op.drop_table("taught_signs")
    op.drop_table("sign_sets")

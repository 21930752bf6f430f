"""Own voices: a sample of a person's voice, kept with their consent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_own_voices"
down_revision = "0006_corpus"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "own_voices",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("consent", sa.String, nullable=False),
        sa.Column("consented_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("sample", sa.LargeBinary, nullable=False),
        sa.Column("duration_s", sa.Double, nullable=False),
        sa.Column("pitch_hz", sa.Double, nullable=False),
        sa.Column("characters_a_s", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_own_voices"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_own_voices_user_id_users"),
    )
    op.create_index("uq_own_voices_user_id", "own_voices", ["user_id"], unique=True)


def downgrade() -> None:
    op.drop_table("own_voices")

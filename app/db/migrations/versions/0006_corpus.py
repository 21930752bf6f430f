"""Recordings that people give for training: who gave which set, by which text, and whether it still holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_corpus"
down_revision = "0005_sign_sets"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "corpora",
        sa.Column("sign_language", sa.String, nullable=False),
        sa.Column("mark", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("sign_language", name="pk_corpora"),
    )
    op.create_table(
        "corpus_signers",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid),
        sa.Column("nickname", sa.String, server_default=sa.text("''"), nullable=False),
        sa.Column("pseudonym", sa.String, nullable=False),
        sa.Column("split", sa.String, nullable=False),
        sa.Column("created_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_corpus_signers"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE", name="fk_corpus_signers_user_id_users"),
        sa.CheckConstraint("split IN ('train', 'dev', 'test')", name="ck_corpus_signers_split"),
    )
    op.create_index("uq_corpus_signers_pseudonym", "corpus_signers", ["pseudonym"], unique=True)
    op.create_index("uq_corpus_signers_user_id", "corpus_signers", ["user_id"], unique=True)
    op.create_index(
        "uq_corpus_signers_nickname",
        "corpus_signers",
        ["nickname"],
        unique=True,
        postgresql_where=sa.text("user_id IS NULL"),
    )
    op.create_table(
        "corpus_consents",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("signer_id", sa.Uuid, nullable=False),
        sa.Column("set_id", sa.Uuid),
        sa.Column("text_version", sa.String, nullable=False),
        sa.Column("most", sa.Integer, nullable=False),
        sa.Column("given_at", _MOMENT, server_default=sa.func.now(), nullable=False),
        sa.Column("revoked_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_corpus_consents"),
        sa.ForeignKeyConstraint(
            ["signer_id"], ["corpus_signers.id"], ondelete="CASCADE", name="fk_corpus_consents_signer_id_corpus_signers"
        ),
        sa.ForeignKeyConstraint(
            ["set_id"], ["sign_sets.id"], ondelete="SET NULL", name="fk_corpus_consents_set_id_sign_sets"
        ),
    )
    op.create_index("ix_corpus_consents_signer_id", "corpus_consents", ["signer_id"])
    op.create_index(
        "uq_corpus_consents_set_id",
        "corpus_consents",
        ["set_id"],
        unique=True,
        postgresql_where=sa.text("revoked_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("corpus_consents")
    op.drop_table("corpus_signers")
    op.drop_table("corpora")

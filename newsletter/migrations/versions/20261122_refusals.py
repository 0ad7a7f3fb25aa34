"""Refusals of an edition, counted by provider and answer."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_refusals"
down_revision = "20261122_delivery_rest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refusal_figures",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("reason", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("enhanced", sa.String(length=11), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("reply", sa.String(length=500), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_refusal_figures_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint(
            "edition_id", "route", "reason", "code", "enhanced", name=op.f("pk_refusal_figures")
        ),
    )


def downgrade() -> None:
    op.drop_table("refusal_figures")

"""Whose account wrote, asked and sent; who wants mail about reviews."""

import sqlalchemy as sa
from alembic import op

revision = "20261123_review_rest"
down_revision = "20261122_refusals"
branch_labels = None
depends_on = None

ROLE = sa.Enum("viewer", "writer", "editor", "admin", name="role", native_enum=False, length=32)
WRITERS = (
    ("draft", "changed_by_account"),
    ("revision", "created_by_account"),
    ("review", "asked_by_account"),
)


def upgrade() -> None:
    for table, column in WRITERS:
        op.add_column(table, sa.Column(column, sa.Integer(), nullable=True))
    op.add_column(
        "account",
        sa.Column("wants_review_mail", sa.Boolean(), server_default=sa.true(), nullable=False),
    )
    op.create_table(
        "dispatch",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("role", ROLE, nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_dispatch_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_dispatch")),
    )
    op.create_index(op.f("ix_dispatch_role_at"), "dispatch", ["role", "at"])


def downgrade() -> None:
    op.drop_table("dispatch")
    op.drop_column("account", "wants_review_mail")
    for table, column in reversed(WRITERS):
        op.drop_column(table, column)

"""How often one person is mailed, as a list says it; and what was found of transports and domains."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_delivery_rest"
down_revision = "20261122_audience_rest"
branch_labels = None
depends_on = None


KIND = sa.Enum("transport", "domain", name="inspectionkind", native_enum=False, length=32)


def upgrade() -> None:
    op.create_table(
        "inspection",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "findings",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inspection"),
        sa.UniqueConstraint("kind", "key", name="uq_inspection_kind_key"),
    )
    op.add_column("list", sa.Column("most_a_day", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_table("inspection")
    op.drop_column("list", "most_a_day")

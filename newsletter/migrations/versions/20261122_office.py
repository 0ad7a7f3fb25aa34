"""The dress of lists, and what the office looks people up by."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_office"
down_revision = "20261122_reports"
branch_labels = None
depends_on = None

FONT = sa.Enum(
    *("system", "helvetica", "verdana", "trebuchet", "georgia", "times", "palatino"),
    name="font",
    native_enum=False,
    length=32,
)
ARCHIVE = sa.Enum("public", "unlisted", "off", name="archive", native_enum=False, length=32)


def upgrade() -> None:
    for column in (
        sa.Column("backdrop", sa.String(length=7), server_default="#f2f0eb", nullable=False),
        sa.Column("heading_font", FONT, server_default="georgia", nullable=False),
        sa.Column("text_font", FONT, server_default="system", nullable=False),
        sa.Column("logo", sa.String(length=120), nullable=True),
        sa.Column("logo_width", sa.SmallInteger(), nullable=True),
        sa.Column("logo_height", sa.SmallInteger(), nullable=True),
        sa.Column("footer", sa.String(length=500), server_default="", nullable=False),
        sa.Column("archive", ARCHIVE, server_default="unlisted", nullable=False),
    ):
        op.add_column("list", column)
    op.create_index(
        "ix_subscription_apart",
        "subscription",
        ["list_id", "status", "subscriber_id"],
        postgresql_where=sa.text("status <> 1"),
        sqlite_where=sa.text("status <> 1"),
    )
    op.create_index(
        "ix_subscriber_name",
        "subscriber",
        ["name", "id"],
        postgresql_ops={"name": "varchar_pattern_ops"},
    )
    op.drop_index("ix_subscriber_domain_id", "subscriber")
    op.create_index("ix_subscriber_domain_id_id", "subscriber", ["domain_id", "id"])
    if op.get_bind().dialect.name == "postgresql":
        # The table stays as it is; the index is made anew.
        op.alter_column("subscriber", "address_key", type_=sa.String(length=254, collation="C"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column(
            "subscriber", "address_key", type_=sa.String(length=254, collation="default")
        )
    op.drop_index("ix_subscriber_domain_id_id", "subscriber")
    op.create_index("ix_subscriber_domain_id", "subscriber", ["domain_id"])
    op.drop_index("ix_subscriber_name", "subscriber")
    op.drop_index("ix_subscription_apart", "subscription")
    for name in (
        *("archive", "footer", "logo_height", "logo_width"),
        *("logo", "text_font", "heading_font", "backdrop"),
    ):
        op.drop_column("list", name)

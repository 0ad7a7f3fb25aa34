"""Test sends and system mail."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_system_mail"
down_revision = "20261122_breakers"
branch_labels = None
depends_on = None

IS_OPEN = sa.text("state IN ('waiting', 'claimed')")


def upgrade() -> None:
    op.create_table(
        "system_mail",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.Identity(always=False),
            nullable=False,
        ),
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("test", "alarm", name="systemmailkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("to_address", sa.String(length=254), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=True),
        sa.Column(
            "data",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "state",
            sa.Enum(
                *("waiting", "claimed", "sent", "failed", "uncertain"),
                name="systemmailstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("dedupe", sa.String(length=120), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_system_mail_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_system_mail")),
        sa.UniqueConstraint("reference", name=op.f("uq_system_mail_reference")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_system_mail_dedupe")),
    )
    op.create_index(
        "ix_system_mail_due",
        "system_mail",
        ["next_at"],
        postgresql_where=IS_OPEN,
        sqlite_where=IS_OPEN,
    )
    op.create_table(
        "test_recipient",
        sa.Column("pattern", sa.String(length=255), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("pattern", name=op.f("pk_test_recipient")),
    )


def downgrade() -> None:
    op.drop_table("test_recipient")
    op.drop_table("system_mail")

"""Settling of deliveries in doubt, corrections, epochs."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "20261122_settling"
down_revision = "20261122_system_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batch", sa.Column("revision", sa.SmallInteger(), nullable=True))
    op.add_column(
        "list",
        sa.Column(
            "on_uncertain",
            sa.Enum("hold", "resend", name="onuncertain", native_enum=False, length=32),
            server_default="hold",
            nullable=False,
        ),
    )
    op.add_column("attempt", sa.Column("lease_token", sa.Integer(), nullable=True))
    op.create_index(
        "ix_attempt_doubt",
        "attempt",
        ["at"],
        unique=False,
        postgresql_where=sa.text("state = 5"),
        sqlite_where=sa.text("state = 5"),
    )
    op.create_table(
        "settlement",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column(
            "evidence",
            sa.Enum(
                "open",
                "click",
                "unsubscribe",
                "bounce",
                "relay",
                "journal",
                "person",
                "policy",
                name="evidence",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("by", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_settlement_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_settlement")),
    )
    op.create_index(
        op.f("ix_settlement_edition_id_subscriber_id"),
        "settlement",
        ["edition_id", "subscriber_id"],
        unique=False,
    )
    installation = op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("identity", sa.String(length=32), nullable=False),
        sa.Column("send_epoch", sa.Integer(), nullable=False),
        sa.Column("disarmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.bulk_insert(installation, [{"id": 1, "identity": secrets.token_hex(16), "send_epoch": 0}])


def downgrade() -> None:
    op.drop_table("installation")
    op.drop_table("settlement")
    op.drop_index("ix_attempt_doubt", table_name="attempt")
    op.drop_column("attempt", "lease_token")
    op.drop_column("list", "on_uncertain")
    op.drop_column("batch", "revision")

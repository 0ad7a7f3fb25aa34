"""The keys that mail is signed with."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_dkim"
down_revision = "20261122_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "dkim_key",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=255), nullable=False),
        sa.Column("selector", sa.String(length=63), nullable=False),
        sa.Column(
            "algorithm",
            sa.Enum(
                "rsa-sha256",
                "ed25519-sha256",
                name="dkimalgorithm",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("sealed_private_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dkim_key")),
        sa.UniqueConstraint("domain", "selector", name=op.f("uq_dkim_key_domain_selector")),
    )


def downgrade() -> None:
    op.drop_table("dkim_key")

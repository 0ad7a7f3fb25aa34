"""Erased people's numbers, lifted suppressions, and the class of what suppressed somebody."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_privacy"
down_revision = "20261122_preferences"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
REASON = sa.Enum(
    *("bounced", "complained", "on request", "imported", "left"),
    name="suppressionreason",
    native_enum=False,
    length=32,
)
REPLY_CLASS = sa.Enum(
    "hard.bad_mailbox",
    "hard.bad_domain",
    "hard.moved",
    "hard.disabled",
    "soft.mailbox_full",
    "soft.expired",
    "soft.greylisted",
    "soft.network",
    "soft.system",
    "soft.content",
    "block.reputation",
    "block.auth",
    "block.rate",
    "block.policy_recipient",
    "unknown",
    name="replyclass",
    native_enum=False,
    length=32,
)


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("subscriber_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_erasure")),
    )
    op.add_column("suppression", sa.Column("reply_class", REPLY_CLASS, nullable=True))
    op.create_index(
        op.f("ix_suppression_created_at_address_hash_list_id"),
        "suppression",
        ["created_at", "address_hash", "list_id"],
    )
    op.create_table(
        "lifted_suppression",
        sa.Column("id", NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("reason", REASON, nullable=False),
        sa.Column("source", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reply_class", REPLY_CLASS, nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.String(length=120), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lifted_suppression")),
    )
    op.create_index(
        op.f("ix_lifted_suppression_address_hash"), "lifted_suppression", ["address_hash"]
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_lifted_suppression_address_hash"), table_name="lifted_suppression")
    op.drop_table("lifted_suppression")
    op.drop_index(op.f("ix_suppression_created_at_address_hash_list_id"), table_name="suppression")
    op.drop_column("suppression", "reply_class")
    op.drop_table("erasure")

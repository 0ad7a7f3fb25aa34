"""Preferences: hidden sections, hours of one's own, other addresses, and why people left."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_preferences"
down_revision = "20261122_signup"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    op.add_column(
        "compiled_edition",
        sa.Column("section_bits", JSON, server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column("subscription", sa.Column("left_reason", sa.SmallInteger(), nullable=True))
    op.add_column(
        "local_schedule", sa.Column("hours_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "ix_subscriber_own_hour",
        "subscriber",
        ["delivery_time", "zone_id"],
        postgresql_where=sa.text("delivery_time IS NOT NULL"),
        sqlite_where=sa.text("delivery_time IS NOT NULL"),
    )
    op.create_table(
        "wave_hour",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.Time(), nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_wave_hour_edition_id_edition")
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_wave_hour_zone_id_zone")),
        sa.PrimaryKeyConstraint("edition_id", "zone_id", "at", name=op.f("pk_wave_hour")),
    )
    op.create_table(
        "address_move",
        sa.Column("reference", sa.String(length=24), nullable=False),
        sa.Column("subscriber_id", NUMBER, nullable=False),
        sa.Column("new_address", sa.String(length=254), nullable=False),
        sa.Column("new_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("old_agreed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("new_agreed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_address_move_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("reference", name=op.f("pk_address_move")),
    )
    op.create_index(op.f("ix_address_move_subscriber_id"), "address_move", ["subscriber_id"])
    op.create_index(op.f("ix_address_move_new_hash"), "address_move", ["new_hash"])


def downgrade() -> None:
    op.drop_index(op.f("ix_address_move_new_hash"), table_name="address_move")
    op.drop_index(op.f("ix_address_move_subscriber_id"), table_name="address_move")
    op.drop_table("address_move")
    op.drop_table("wave_hour")
    op.drop_index("ix_subscriber_own_hour", table_name="subscriber")
    op.drop_column("local_schedule", "hours_at")
    op.drop_column("subscription", "left_reason")
    op.drop_column("compiled_edition", "section_bits")

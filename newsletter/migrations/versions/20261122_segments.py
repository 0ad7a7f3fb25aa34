"""Saved segments and the audience of editions."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_segments"
down_revision = "20261122_importing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("name", name=op.f("uq_segment_name")),
    )
    op.create_table(
        "segment_count",
        sa.Column("segment_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.Text(), nullable=False),
        sa.Column("token", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("alive_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["segment.id"],
            name=op.f("fk_segment_count_segment_id_segment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("segment_id", name=op.f("pk_segment_count")),
    )
    op.create_table(
        "edition_segment",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column(
            "use",
            sa.Enum("audience", "exclusion", name="segmentuse", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("segment_id", sa.Integer(), nullable=True),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("definition", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_edition_segment_edition_id_edition")
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"],
            ["segment.id"],
            name=op.f("fk_edition_segment_segment_id_segment"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("edition_id", "number", name=op.f("pk_edition_segment")),
    )
    op.create_index(op.f("ix_edition_segment_segment_id"), "edition_segment", ["segment_id"])
    op.create_index(
        op.f("ix_engagement_subscriber_id_link_first_at"),
        "engagement",
        ["subscriber_id", "link", "first_at"],
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_engagement_subscriber_id_link_first_at"), table_name="engagement")
    op.drop_index(op.f("ix_edition_segment_segment_id"), table_name="edition_segment")
    for table in ("edition_segment", "segment_count", "segment"):
        op.drop_table(table)

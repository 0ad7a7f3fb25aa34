"""Working drafts, and the versions that another's saving displaced."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_drafts"
down_revision = "20261122_accounts"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "draft",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("briefing", JSON, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("preheader", sa.String(length=255), nullable=True),
        sa.Column("set_aside", JSON, nullable=False),
        sa.Column("unread_text", sa.Text(), nullable=True),
        sa.Column("source_text", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_draft_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_draft")),
    )
    op.create_table(
        "kept_draft",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("briefing", JSON, nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=True),
        sa.Column("preheader", sa.String(length=255), nullable=True),
        sa.Column("set_aside", JSON, nullable=False),
        sa.Column("unread_text", sa.Text(), nullable=True),
        sa.Column("source_text", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kept_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_kept_draft_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kept_draft")),
        sa.UniqueConstraint(
            "edition_id",
            "based_on",
            "kept_by",
            name=op.f("uq_kept_draft_edition_id_based_on_kept_by"),
        ),
    )


def downgrade() -> None:
    op.drop_table("kept_draft")
    op.drop_table("draft")

"""Sections of lists, attributes, tags, and the history of people."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261122_audience"
down_revision = "20261122_settling"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    for column in (
        sa.Column("description", sa.String(length=1000), nullable=False, server_default=""),
        sa.Column("send_time", sa.Time(), nullable=True),
        sa.Column(
            "tracking",
            sa.Enum("full", "anonymous", "off", name="tracking", native_enum=False, length=32),
            nullable=False,
            server_default="full",
        ),
        sa.Column("is_public", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("list", column)
    for known in (
        sa.Column("delivery_time", sa.Time(), nullable=True),
        sa.Column("break_until", sa.Date(), nullable=True),
        sa.Column("own_fields", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("import_id", sa.Integer(), nullable=True),
    ):
        op.add_column("subscriber", known)
    op.add_column("subscription", sa.Column("import_id", sa.Integer(), nullable=True))
    _sections()
    _attributes()
    _tags()
    _history()


def _sections() -> None:
    op.create_table(
        "section",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("bit", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("aliases", JSON, nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_section_list_id_list")),
        sa.PrimaryKeyConstraint("list_id", "bit", name=op.f("pk_section")),
        sa.UniqueConstraint("list_id", "key", name=op.f("uq_section_list_id_key")),
    )


def _attributes() -> None:
    op.create_table(
        "attribute",
        sa.Column("key", sa.String(length=63), nullable=False),
        sa.Column("label", sa.String(length=120), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                *("text", "number", "boolean", "date", "choice"),
                name="attributekind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("choices", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attribute")),
    )


def _tags() -> None:
    op.create_table(
        "tag",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
        sa.UniqueConstraint("name", name=op.f("uq_tag_name")),
    )
    op.create_table(
        "subscriber_tag",
        sa.Column("tag_id", sa.Integer(), nullable=False),
        sa.Column("subscriber_id", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["tag_id"], ["tag.id"], name=op.f("fk_subscriber_tag_tag_id_tag")),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_tag_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("tag_id", "subscriber_id", name=op.f("pk_subscriber_tag")),
    )
    op.create_index(op.f("ix_subscriber_tag_subscriber_id"), "subscriber_tag", ["subscriber_id"])


def _history() -> None:
    op.create_table(
        "subscriber_change",
        sa.Column("id", NUMBER, sa.Identity(always=False), nullable=False),
        sa.Column("subscriber_id", NUMBER, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("field", sa.String(length=80), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column(
            "cause",
            sa.Enum(
                *("form", "preferences", "admin", "import", "api", "system"),
                name="changecause",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("by", sa.String(length=120), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_subscriber_change_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_subscriber_change")),
    )
    op.create_index(
        op.f("ix_subscriber_change_subscriber_id_id"), "subscriber_change", ["subscriber_id", "id"]
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_subscriber_change_subscriber_id_id"), table_name="subscriber_change")
    op.drop_table("subscriber_change")
    op.drop_index(op.f("ix_subscriber_tag_subscriber_id"), table_name="subscriber_tag")
    for table in ("subscriber_tag", "tag", "attribute", "section"):
        op.drop_table(table)
    op.drop_column("subscription", "import_id")
    for column in ("import_id", "own_fields", "break_until", "delivery_time"):
        op.drop_column("subscriber", column)
    for column in ("retired_at", "is_public", "tracking", "send_time", "description"):
        op.drop_column("list", column)

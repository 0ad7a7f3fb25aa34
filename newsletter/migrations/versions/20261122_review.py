"""Review and approval."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "20261122_review"
down_revision = "20261122_drafts"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
ENDS = sa.Enum("approved", "returned", "withdrawn", name="reviewend", native_enum=False, length=32)


def upgrade() -> None:
    op.add_column("edition", sa.Column("held_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("list", sa.Column("four_eyes", sa.Boolean(), nullable=True))
    op.add_column("list", sa.Column("cool_off_seconds", sa.Integer(), nullable=True))
    _reviews()
    _comments()
    _tests()
    _findings()
    _counts()
    _corrections()
    op.create_index(op.f("ix_attempt_edition_id_id"), "attempt", ["edition_id", "id"])


def _reviews() -> None:
    _numbered(
        "review",
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("end", ENDS, nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.String(length=120), nullable=True),
    )
    op.create_index(op.f("ix_review_edition_id"), "review", ["edition_id"])


def _comments() -> None:
    _numbered(
        "comment",
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("headline", sa.Text(), nullable=True),
        sa.Column("position", sa.SmallInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        *_said(),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(length=120), nullable=True),
    )
    op.create_index(op.f("ix_comment_edition_id"), "comment", ["edition_id"])


def _tests() -> None:
    _numbered(
        "edition_test",
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("mail_ids", JSON, nullable=False),
        *_said(),
    )
    op.create_index(
        op.f("ix_edition_test_edition_id_revision"), "edition_test", ["edition_id", "revision"]
    )


def _findings() -> None:
    _keyed(
        "acknowledgement",
        sa.Column("fingerprint", sa.String(length=64), nullable=False, primary_key=True),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        *_said(),
    )
    _keyed(
        "check_override",
        sa.Column("revision", sa.SmallInteger(), nullable=False, primary_key=True),
        sa.Column("fingerprints", JSON, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        *_said(),
    )


def _counts() -> None:
    _keyed(
        "audience_count",
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("excluded", JSON, nullable=False),
        sa.Column("places", JSON, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )


def _corrections() -> None:
    _keyed(
        "correction",
        sa.Column("revision", sa.SmallInteger(), nullable=False, primary_key=True),
        sa.Column("note", sa.Text(), nullable=False),
        *_said(),
    )
    _keyed(
        "correction_mail",
        sa.Column("corrects", sa.Integer(), nullable=False),
        sa.Column("upto", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["corrects"], ["edition.id"], name=op.f("fk_correction_mail_corrects_edition")
        ),
    )
    op.create_index(op.f("ix_correction_mail_corrects"), "correction_mail", ["corrects"])


def _numbered(table: str, *columns: sa.Column[object]) -> None:
    """A table of things about editions, each with a number of its own."""
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("edition_id", sa.Integer(), nullable=False),
        *columns,
        _of_edition(table),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )


def _keyed(table: str, *columns: sa.schema.SchemaItem) -> None:
    """A table whose key is the edition, and those of its columns that say so."""
    op.create_table(
        table,
        sa.Column("edition_id", sa.Integer(), nullable=False, primary_key=True),
        *columns,
        _of_edition(table),
    )


def _of_edition(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_edition_id_edition")
    return sa.ForeignKeyConstraint(["edition_id"], ["edition.id"], name=name)


def _said() -> tuple[sa.Column[object], sa.Column[object]]:
    return (
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", sa.String(length=120), nullable=False),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_attempt_edition_id_id"), table_name="attempt")
    for table in (
        "correction_mail",
        "correction",
        "audience_count",
        "check_override",
        "acknowledgement",
        "edition_test",
        "comment",
        "review",
    ):
        op.drop_table(table)
    op.drop_column("list", "cool_off_seconds")
    op.drop_column("list", "four_eyes")
    op.drop_column("edition", "held_until")

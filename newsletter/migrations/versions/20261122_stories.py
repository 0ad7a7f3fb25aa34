"""Feeds and candidate stories, pictures, and the addresses that alarms are posted to."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_stories"
down_revision = "20261122_review"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _feeds()
    _candidates()
    _pictures()
    _alarm_targets()
    _alarm_calls()


def downgrade() -> None:
    for table in (
        "alarm_call",
        "alarm_target",
        "media_content",
        "media",
        "candidate",
        "feed",
    ):
        op.drop_table(table)


def _feeds() -> None:
    op.create_table(
        "feed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("etag", sa.String(length=300), nullable=True),
        sa.Column("last_modified", sa.String(length=100), nullable=True),
        sa.Column("next_at", MOMENT, nullable=False),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("read_at", MOMENT, nullable=True),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_feed_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed")),
        sa.UniqueConstraint("list_id", "url", name=op.f("uq_feed_list_id_url")),
    )
    op.create_index(op.f("ix_feed_next_at"), "feed", ["next_at"])


def _candidates() -> None:
    op.create_table(
        "candidate",
        sa.Column("id", BIG, nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=True),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("url_key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("summary", sa.String(length=2000), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("published_at", MOMENT, nullable=True),
        sa.Column("found_at", MOMENT, nullable=False),
        sa.Column("found_by", sa.String(length=120), nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting",
                "unreadable",
                "new",
                "told",
                "used",
                "dismissed",
                name="candidatestate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("failures", sa.SmallInteger(), nullable=False),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("same_as", BIG, nullable=True),
        sa.Column("edition_id", sa.Integer(), nullable=True),
        sa.Column("settled_at", MOMENT, nullable=True),
        sa.Column("settled_by", sa.String(length=120), nullable=True),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_candidate_list_id_list")),
        sa.ForeignKeyConstraint(
            ["feed_id"], ["feed.id"], name=op.f("fk_candidate_feed_id_feed"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["same_as"],
            ["candidate.id"],
            name=op.f("fk_candidate_same_as_candidate"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_candidate_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_candidate")),
        sa.UniqueConstraint("list_id", "url_key", name=op.f("uq_candidate_list_id_url_key")),
    )
    op.create_index(op.f("ix_candidate_feed_id"), "candidate", ["feed_id"])
    op.create_index(op.f("ix_candidate_same_as"), "candidate", ["same_as"])
    op.create_index(
        op.f("ix_candidate_list_id_state_found_at"), "candidate", ["list_id", "state", "found_at"]
    )
    _index_of_waiting("candidate")


def _pictures() -> None:
    op.create_table(
        "media",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("extension", sa.String(length=4), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_media")),
    )
    op.create_index(op.f("ix_media_created_at"), "media", ["created_at"])
    op.create_table(
        "media_content",
        sa.Column("key", sa.String(length=40), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_media_content")),
    )


def _alarm_targets() -> None:
    op.create_table(
        "alarm_target",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.String(length=1000), nullable=False),
        sa.Column("secret_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_alarm_target_list_id_list")
        ),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_alarm_target")),
    )


def _alarm_calls() -> None:
    op.create_table(
        "alarm_call",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("alarm_id", sa.Integer(), nullable=True),
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.Column("body", sa.String(length=4000), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "answered", "failed", name="callstate", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("tried_at", MOMENT, nullable=True),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_alarm_call_list_id_list")),
        sa.ForeignKeyConstraint(
            ["alarm_id"], ["alarm.id"], name=op.f("fk_alarm_call_alarm_id_alarm")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm_call")),
        sa.UniqueConstraint("reference", name=op.f("uq_alarm_call_reference")),
    )
    op.create_index(op.f("ix_alarm_call_alarm_id"), "alarm_call", ["alarm_id"])
    op.create_index(
        op.f("ix_alarm_call_list_id_created_at"), "alarm_call", ["list_id", "created_at"]
    )
    _index_of_waiting("alarm_call")


def _index_of_waiting(table: str) -> None:
    waiting = sa.text("next_at IS NOT NULL")
    op.create_index(
        f"ix_{table}_waiting", table, ["next_at"], postgresql_where=waiting, sqlite_where=waiting
    )

"""Breakers, holds and the choice of transports."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_breakers"
down_revision = "20261122_routes"
branch_labels = None
depends_on = None


def _words(*words: str, name: str) -> sa.Enum:
    return sa.Enum(*words, name=name, native_enum=False, length=32)


def upgrade() -> None:
    pacing = _words("providers", "relay", name="pacing")
    carries = _words("all", "editions", "system", name="carries")
    auth = _words("plain", "login", "xoauth2", name="auth")
    for column in (
        sa.Column("auth", auth, nullable=True),
        sa.Column("pacing", pacing, nullable=False, server_default="providers"),
        sa.Column("rate", sa.String(length=20), nullable=True),
        sa.Column("weight", sa.SmallInteger(), nullable=False, server_default="1"),
        sa.Column("carries", carries, nullable=False, server_default="all"),
    ):
        op.add_column("transport", column)
    op.add_column("batch", sa.Column("transport_id", sa.Integer(), nullable=True))
    _index_ready_batches("route", "due_at", "tier", "edition_id", "number")
    classes = _words(*REPLY_CLASSES, name="replyclass")
    op.add_column("attempt", sa.Column("reply_class", classes, nullable=True))
    _choices()
    _holds()
    _counters()


def _index_ready_batches(*columns: str) -> None:
    op.drop_index("ix_batch_ready", "batch")
    op.create_index(
        "ix_batch_ready",
        "batch",
        columns,
        postgresql_where=sa.text("state = 0"),
        sqlite_where=sa.text("state = 0"),
    )


def _choices() -> None:
    op.create_table(
        "list_transport",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name="fk_list_transport_list_id_list"),
        sa.ForeignKeyConstraint(
            ["transport_id"], ["transport.id"], name="fk_list_transport_transport_id_transport"
        ),
        sa.PrimaryKeyConstraint("list_id", "transport_id", name="pk_list_transport"),
    )
    op.execute(
        "INSERT INTO list_transport (list_id, transport_id)"
        " SELECT id, transport_id FROM list WHERE transport_id IS NOT NULL"
    )
    op.create_table(
        "edition_transport",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column("weight", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_edition_transport_edition_id_edition"
        ),
        sa.ForeignKeyConstraint(
            ["transport_id"], ["transport.id"], name="fk_edition_transport_transport_id_transport"
        ),
        sa.PrimaryKeyConstraint("edition_id", "transport_id", name="pk_edition_transport"),
    )


def _holds() -> None:
    scopes = ("transport", "route", "sender_domain", "recipient_domain", "edition")
    op.create_table(
        "hold",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", _words(*scopes, name="holdscope"), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column(
            "action", _words("suspend", "rate", "connections", name="holdaction"), nullable=False
        ),
        sa.Column("value", sa.String(length=20), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=False),
        sa.Column("reply", sa.String(length=300), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probes", sa.SmallInteger(), nullable=False),
        sa.Column("probing_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.String(length=120), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_hold"),
    )
    op.create_index(
        "uq_hold_open",
        "hold",
        ["scope", "key", "transport_id", "action"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
        sqlite_where=sa.text("lifted_at IS NULL"),
    )


def _counters() -> None:
    op.create_table(
        "traffic",
        sa.Column("transport_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("route", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("sender_domain", sa.String(length=255), nullable=False),
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("deferred", sa.Integer(), nullable=False),
        sa.Column("blocked", sa.Integer(), nullable=False),
        sa.Column("unauthentic", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "transport_id", "route", "sender_domain", "minute", name="pk_traffic"
        ),
    )
    op.create_table(
        "edition_health",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.Column("unsendable", sa.Integer(), nullable=False),
        sa.Column("tried_before", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name="fk_edition_health_edition_id_edition"
        ),
        sa.PrimaryKeyConstraint("edition_id", name="pk_edition_health"),
    )
    op.create_table(
        "domain_trouble",
        sa.Column("domain_id", sa.Integer(), nullable=False),
        sa.Column("hard", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain_id"], ["domain.id"], name="fk_domain_trouble_domain_id_domain"
        ),
        sa.PrimaryKeyConstraint("domain_id", name="pk_domain_trouble"),
    )
    op.create_table(
        "rule_match",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rule_match"),
    )
    op.create_index(
        "ix_rule_match_rule_transport_id_route", "rule_match", ["rule", "transport_id", "route"]
    )


REPLY_CLASSES = (
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
)


def downgrade() -> None:
    op.drop_index("ix_rule_match_rule_transport_id_route", "rule_match")
    for table in (
        "rule_match",
        "domain_trouble",
        "edition_health",
        "traffic",
        "hold",
        "edition_transport",
        "list_transport",
    ):
        op.drop_table(table)
    op.drop_column("attempt", "reply_class")
    _index_ready_batches("due_at")
    op.drop_column("batch", "transport_id")
    for column in ("carries", "weight", "rate", "pacing", "auth"):
        op.drop_column("transport", column)

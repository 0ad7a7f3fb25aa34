"""Routes, throttles and warm-up plans."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_routes"
down_revision = "20261122_waves"
branch_labels = None
depends_on = None


def upgrade() -> None:
    route = op.create_table(
        "route",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("connections", sa.SmallInteger(), nullable=True),
        sa.Column("rate", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_route")),
        sa.UniqueConstraint("name", name=op.f("uq_route_name")),
    )
    op.bulk_insert(route, [{"id": 0, "name": "other"}])
    for column in (
        sa.Column("route", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("mx_site", sa.String(length=255), nullable=True),
        sa.Column(
            "verdict",
            sa.Enum(
                *("unknown", "takes mail", "no mail"),
                name="domainverdict",
                native_enum=False,
                length=32,
            ),
            server_default="unknown",
            nullable=False,
        ),
        sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("domain", column)
    op.create_index("ix_domain_due", "domain", ["expires_at"], unique=False)
    op.add_column("subscriber", sa.Column("clicked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_subscriber_domain_id"), "subscriber", ["domain_id"], unique=False)
    for name in ("route", "tier"):
        op.add_column(
            "batch", sa.Column(name, sa.SmallInteger(), server_default="0", nullable=False)
        )
    op.create_table(
        "pace",
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("connections", sa.SmallInteger(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("slowed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["transport_id"], ["transport.id"], name=op.f("fk_pace_transport_id_transport")
        ),
        sa.PrimaryKeyConstraint("transport_id", "key", name=op.f("pk_pace")),
    )
    op.create_table(
        "warm_up",
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column("first_cap", sa.Integer(), nullable=False),
        sa.Column("growth", sa.Float(), nullable=False),
        sa.Column("full_cap", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["transport_id"], ["transport.id"], name=op.f("fk_warm_up_transport_id_transport")
        ),
        sa.PrimaryKeyConstraint("transport_id", name=op.f("pk_warm_up")),
    )
    op.create_table(
        "warm_up_day",
        sa.Column("transport_id", sa.Integer(), nullable=False),
        sa.Column("route", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("cap", sa.Integer(), nullable=True),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("reserved", "tried", "deferred", "blocked", "complaints")
        ),
        sa.ForeignKeyConstraint(
            ["transport_id"], ["transport.id"], name=op.f("fk_warm_up_day_transport_id_transport")
        ),
        sa.PrimaryKeyConstraint("transport_id", "route", "day", name=op.f("pk_warm_up_day")),
    )


def downgrade() -> None:
    op.drop_table("warm_up_day")
    op.drop_table("warm_up")
    op.drop_table("pace")
    for name in ("tier", "route"):
        op.drop_column("batch", name)
    op.drop_index(op.f("ix_subscriber_domain_id"), table_name="subscriber")
    op.drop_column("subscriber", "clicked_at")
    op.drop_index("ix_domain_due", table_name="domain")
    for name in ("expires_at", "missing_since", "verdict", "mx_site", "route"):
        op.drop_column("domain", name)
    op.drop_table("route")

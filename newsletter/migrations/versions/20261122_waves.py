"""Waves, slots and alarms."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_waves"
down_revision = "20261122_dkim"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wave",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exclusion", sa.SmallInteger(), nullable=True),
        sa.Column("is_sweep", sa.Boolean(), nullable=False),
        sa.Column("plan_position", sa.SmallInteger(), nullable=False),
        sa.Column("plan_cursor", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_wave_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("edition_id", "number", name=op.f("pk_wave")),
    )
    op.create_table(
        "local_schedule",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("at", sa.Time(), nullable=False),
        sa.Column(
            "past",
            sa.Enum("send", "skip", name="past", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("deadline_minutes", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tzdata", sa.String(length=16), nullable=False),
        sa.Column("last_zone", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_local_schedule_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("edition_id", name=op.f("pk_local_schedule")),
    )
    op.create_table(
        "wave_zone",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("zone_id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("wave", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_wave_zone_edition_id_edition")
        ),
        sa.ForeignKeyConstraint(["zone_id"], ["zone.id"], name=op.f("fk_wave_zone_zone_id_zone")),
        sa.PrimaryKeyConstraint("edition_id", "zone_id", name=op.f("pk_wave_zone")),
    )
    op.create_table(
        "slot",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("weekdays", sa.SmallInteger(), nullable=False),
        sa.Column("at", sa.Time(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=True),
        sa.Column("deadline_minutes", sa.Integer(), nullable=False),
        sa.Column("ready_minutes", sa.Integer(), nullable=False),
        sa.Column("alarm_minutes", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_slot_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_slot")),
    )
    op.create_index(op.f("ix_slot_list_id"), "slot", ["list_id"])
    op.create_table(
        "slot_holiday",
        sa.Column("slot_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["slot_id"], ["slot.id"], name=op.f("fk_slot_holiday_slot_id_slot"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("slot_id", "day", name=op.f("pk_slot_holiday")),
    )
    op.create_table(
        "alarm",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("unready soon", "unready", name="alarmkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("slot_date", sa.Date(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["list.id"], name=op.f("fk_alarm_list_id_list")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
        sa.UniqueConstraint(
            "kind", "list_id", "slot_date", name=op.f("uq_alarm_kind_list_id_slot_date")
        ),
    )
    op.add_column("batch", sa.Column("wave", sa.SmallInteger(), server_default="0", nullable=False))
    op.add_column("batch", sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=True))
    # Editions under way go on as one wave, from where their planning stands.
    op.execute(
        "INSERT INTO wave (edition_id, number, due_at, is_sweep,"
        " plan_position, plan_cursor, planned_at)"
        " SELECT id, 1, started_at, false, plan_position, plan_cursor, planned_at"
        " FROM edition WHERE started_at IS NOT NULL"
    )
    op.execute("UPDATE batch SET wave = 1 WHERE number > 0")
    op.drop_column("edition", "plan_position")
    op.drop_column("edition", "plan_cursor")


def downgrade() -> None:
    for name, kind in (("plan_position", sa.SmallInteger()), ("plan_cursor", sa.BigInteger())):
        op.add_column("edition", sa.Column(name, kind, server_default="0", nullable=False))
    op.drop_column("batch", "deadline_at")
    op.drop_column("batch", "wave")
    for table in (
        "alarm",
        "slot_holiday",
        "slot",
        "wave_zone",
        "local_schedule",
        "wave",
    ):
        op.drop_table(table)

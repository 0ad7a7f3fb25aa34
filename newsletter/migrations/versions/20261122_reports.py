"""Figures by hour, story and list."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_reports"
down_revision = "20261122_stories"
branch_labels = None
depends_on = None

PENDING, CONFIRMED, UNSUBSCRIBED = 0, 1, 2
SUMS = ("people", "sent", "deferred", "failed", "uncertain", "excluded", "cancelled")


def upgrade() -> None:
    op.add_column(
        "edition_figures",
        sa.Column("clickers", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    for name in SUMS:
        op.add_column("edition_figures", sa.Column(name, sa.Integer(), nullable=True))
    op.create_table(
        "story_figures",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("story", sa.SmallInteger(), nullable=False),
        sa.Column("clickers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_story_figures_edition_id_edition")
        ),
        sa.PrimaryKeyConstraint("edition_id", "story", name=op.f("pk_story_figures")),
    )
    op.create_table(
        "hour_figures",
        sa.Column("edition_id", sa.Integer(), nullable=False),
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("hour", sa.SmallInteger(), nullable=False),
        sa.Column("opens", sa.Integer(), nullable=False),
        sa.Column("clicks", sa.Integer(), nullable=False),
        sa.Column("unsubscribes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"], ["edition.id"], name=op.f("fk_hour_figures_edition_id_edition")
        ),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_hour_figures_list_id_list")
        ),
        sa.PrimaryKeyConstraint("edition_id", "list_id", "hour", name=op.f("pk_hour_figures")),
    )
    op.create_table(
        "list_figures",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_list_figures_list_id_list")
        ),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_list_figures")),
    )
    op.create_table(
        "list_day_figures",
        sa.Column("list_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("joined", sa.Integer(), nullable=False),
        sa.Column("imported", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["list_id"], ["list.id"], name=op.f("fk_list_day_figures_list_id_list")
        ),
        sa.PrimaryKeyConstraint("list_id", "day", name=op.f("pk_list_day_figures")),
    )
    _count_people()


def _count_people() -> None:
    """The days of people who are there already are of UTC; nobody knows when who was removed."""
    is_postgres = op.get_bind().dialect.name == "postgresql"

    def day_of(column: str) -> str:
        return f"({column} AT TIME ZONE 'UTC')::date" if is_postgres else f"date({column})"

    op.execute(
        f"""
        INSERT INTO list_figures (list_id, confirmed, pending)
        SELECT list_id, count(CASE WHEN status = {CONFIRMED} THEN 1 END),
               count(CASE WHEN status = {PENDING} THEN 1 END)
        FROM subscription GROUP BY list_id
        """  # noqa: S608  nothing of it comes from outside
    )
    op.execute(
        f"""
        INSERT INTO list_day_figures (list_id, day, joined, imported, "left", removed)
        SELECT list_id, day, sum(joined), sum(imported), sum(gone), 0 FROM (
            SELECT list_id, {day_of("joined_at")} AS day,
                   CASE WHEN import_id IS NULL THEN 1 ELSE 0 END AS joined,
                   CASE WHEN import_id IS NULL THEN 0 ELSE 1 END AS imported, 0 AS gone
            FROM subscription
            WHERE status = {CONFIRMED} OR (status = {UNSUBSCRIBED} AND left_at IS NOT NULL)
            UNION ALL
            SELECT list_id, {day_of("left_at")}, 0, 0, 1
            FROM subscription WHERE status = {UNSUBSCRIBED} AND left_at IS NOT NULL
        ) AS moves GROUP BY list_id, day
        """  # noqa: S608  nothing of it comes from outside
    )


def downgrade() -> None:
    for table in ("list_day_figures", "list_figures", "hour_figures", "story_figures"):
        op.drop_table(table)
    for name in (*SUMS, "clickers"):
        op.drop_column("edition_figures", name)

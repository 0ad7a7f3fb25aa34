"""Which import a suppression is of, and the undoing of imports as a job."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_audience_rest"
down_revision = "20261122_office"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("suppression", sa.Column("import_id", sa.Integer(), nullable=True))
    _note_imports()
    op.add_column(
        "import",
        sa.Column("is_narrow", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("import", sa.Column("undone_by", sa.String(length=120), nullable=True))
    op.add_column(
        "import",
        sa.Column(
            "undone",
            sa.JSON().with_variant(sa.dialects.postgresql.JSONB(), "postgresql"),
            server_default="{}",
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("import", "undone")
    op.drop_column("import", "undone_by")
    op.drop_column("import", "is_narrow")
    op.drop_column("suppression", "import_id")


def _note_imports() -> None:
    """Until now only the source told it, in words."""
    suppression = sa.table(
        "suppression", sa.column("source", sa.String), sa.column("import_id", sa.Integer)
    )
    # An admin's file of suppressions may be called "import of March" as well.
    imports = sa.table("import", sa.column("id", sa.Integer))
    number = (
        sa.select(imports.c.id)
        .where(suppression.c.source == sa.literal("import ") + sa.cast(imports.c.id, sa.String))
        .correlate(suppression)
        .scalar_subquery()
    )
    op.execute(
        suppression.update()
        .where(suppression.c.source.startswith("import "))
        .values(import_id=number)
    )

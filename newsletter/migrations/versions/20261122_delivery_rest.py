"""How often one person is mailed, as a list says it."""

import sqlalchemy as sa
from alembic import op

revision = "20261122_delivery_rest"
down_revision = "20261122_audience_rest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("list", sa.Column("most_a_day", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("list", "most_a_day")

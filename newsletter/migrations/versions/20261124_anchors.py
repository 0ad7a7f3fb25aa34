"""Where addresses find each story of a revision; an older one's have their positions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261124_anchors"
down_revision = "20261123_review_rest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "revision",
        sa.Column(
            "anchors",
            sa.JSON().with_variant(postgresql.JSONB(), "postgresql"),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("revision", "anchors")

"""Feeds and candidate stories."""

revision = "20261122_stories"
down_revision = "20261122_review"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""Figures by hour, story and list."""

revision = "20261122_reports"
down_revision = "20261122_stories"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

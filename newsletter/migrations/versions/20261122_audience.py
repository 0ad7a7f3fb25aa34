"""Sections of lists, attributes, tags, and the history of people."""

revision = "20261122_audience"
down_revision = "20261122_settling"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

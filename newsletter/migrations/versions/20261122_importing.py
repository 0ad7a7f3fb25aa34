"""Imports, their rows' reports and exports."""

revision = "20261122_importing"
down_revision = "20261122_audience"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

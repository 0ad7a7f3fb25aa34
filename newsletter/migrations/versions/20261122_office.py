"""What the office sets."""

revision = "20261122_office"
down_revision = "20261122_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""What the audience still needed."""

revision = "20261122_audience_rest"
down_revision = "20261122_office"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

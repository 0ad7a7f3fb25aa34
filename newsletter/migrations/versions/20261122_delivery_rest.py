"""What delivery still needed."""

revision = "20261122_delivery_rest"
down_revision = "20261122_audience_rest"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

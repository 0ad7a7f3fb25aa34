"""Routes, throttles and warm-up plans."""

revision = "20261122_routes"
down_revision = "20261122_waves"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

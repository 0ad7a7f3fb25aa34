"""Breakers, holds and the choice of transports."""

revision = "20261122_breakers"
down_revision = "20261122_routes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

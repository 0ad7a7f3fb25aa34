"""Settling of deliveries in doubt, corrections, epochs."""

revision = "20261122_settling"
down_revision = "20261122_system_mail"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

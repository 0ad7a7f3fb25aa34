"""Waves, slots and alarms."""

revision = "20261122_waves"
down_revision = "20261122_dkim"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""Retention and the undoing of suppressions."""

revision = "20261122_privacy"
down_revision = "20261122_preferences"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

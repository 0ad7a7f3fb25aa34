"""Preferences and variants of compiled editions."""

revision = "20261122_preferences"
down_revision = "20261122_signup"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

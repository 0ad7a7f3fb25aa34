"""Test sends and system mail."""

revision = "20261122_system_mail"
down_revision = "20261122_breakers"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""API keys and idempotency."""

revision = "20261122_api"
down_revision = "20261122_privacy"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

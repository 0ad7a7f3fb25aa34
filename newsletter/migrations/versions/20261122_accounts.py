"""Accounts of staff, their sessions, and the audit log."""

revision = "20261122_accounts"
down_revision = "20261122_api"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

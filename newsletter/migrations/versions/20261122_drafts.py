"""Working drafts and media."""

revision = "20261122_drafts"
down_revision = "20261122_accounts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""Review and approval."""

revision = "20261122_review"
down_revision = "20261122_drafts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

"""Saved segments and the audience of editions."""

revision = "20261122_segments"
down_revision = "20261122_importing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

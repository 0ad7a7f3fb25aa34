"""Sign-up requests."""

revision = "20261122_signup"
down_revision = "20261122_segments"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass

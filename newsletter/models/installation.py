"""What there is one of: the installation that this database belongs to."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model

THE_ONE = 1


class Installation(Model):
    """One row, `THE_ONE`."""

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    identity: Mapped[str] = mapped_column(String(32))
    """Made once by chance; a backup that is restored has it too, another installation does not."""
    send_epoch: Mapped[int] = mapped_column(default=0)
    """One more at each claim; the state directory notes it too, outside of every backup."""
    disarmed_at: Mapped[datetime | None]
    """When this database was found to be older than what was sent; None: sending is allowed."""

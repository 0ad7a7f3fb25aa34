"""The history of people: every change of what is known about somebody, with its cause."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model


class ChangeCause(StrEnum):
    FORM = "form"
    PREFERENCES = "preferences"
    ADMIN = "admin"
    IMPORT = "import"
    API = "api"
    SYSTEM = "system"


class SubscriberChange(Model):
    """Append-only. Whether somebody is on a list is told by `consent_event`, not here."""

    __tablename__ = "subscriber_change"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE")
    )
    at: Mapped[datetime]
    field: Mapped[str] = mapped_column(String(80))
    """`name`, `zone` …, `attribute team`, `sections of morning`, `tags`."""
    before: Mapped[str | None] = mapped_column(Text)
    """As a person would write it; None: there was nothing."""
    after: Mapped[str | None] = mapped_column(Text)
    cause: Mapped[ChangeCause]
    by: Mapped[str] = mapped_column(String(120))
    """Who, as far as that is known: an account, `reader`, a program."""
    reference: Mapped[str | None] = mapped_column(String(200))
    """What else leads there: a form, a file, a request's id."""

    # A person's page shows their changes in order.
    __table_args__ = (Index(None, "subscriber_id", "id"),)

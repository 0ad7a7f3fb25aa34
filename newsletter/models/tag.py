"""Tags: words that admins and imports put on people, to find them again."""

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model

LONGEST_TAG = 80


class Tag(Model):
    __tablename__ = "tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_TAG), unique=True)
    """In lower case, so that no tag exists in two spellings."""


class SubscriberTag(Model):
    __tablename__ = "subscriber_tag"

    tag_id: Mapped[int] = mapped_column(ForeignKey("tag.id"), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE"), primary_key=True
    )
    import_id: Mapped[int | None]
    """The import that put it there; None: no import did."""

    # A person's own page, and erasure, look tags up by person.
    __table_args__ = (Index(None, "subscriber_id"),)

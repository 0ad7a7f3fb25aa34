"""Figures kept up to date by whoever changes what they count, so that no page counts rows."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model
from newsletter.models.delivery import Reason
from newsletter.models.types import SmallEnum

HOURS = 7 * 24
"""What readers do in the first week is counted by the hour; this is the number of all that came later."""


BATCH_COUNTERS = ("people", "sent", "deferred", "failed", "uncertain", "excluded", "cancelled")


class EditionFigures(Model):
    """What a list that counts without names adds is not of readers but of times."""

    __tablename__ = "edition_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    opens: Mapped[int] = mapped_column(default=0)
    """Readers who opened at least once."""
    clicks: Mapped[int] = mapped_column(default=0)
    """Pairs of reader and link: a second click of one reader on one link does not count."""
    clickers: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    """Readers who followed at least one link."""
    unsubscribes: Mapped[int] = mapped_column(default=0)
    people: Mapped[int | None]
    """What the batches' counters come to once the edition is over, as is each of the following; None
    before, and of what was over before these were kept."""
    sent: Mapped[int | None]
    deferred: Mapped[int | None]
    failed: Mapped[int | None]
    uncertain: Mapped[int | None]
    excluded: Mapped[int | None]
    cancelled: Mapped[int | None]


class LinkFigures(Model):
    __tablename__ = "link_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    clicks: Mapped[int] = mapped_column(default=0)
    """Readers who clicked it."""


class StoryFigures(Model):
    """`story` is the number that the edition's links have for it."""

    __tablename__ = "story_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    story: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    clickers: Mapped[int] = mapped_column(default=0)
    """Readers who followed at least one of its links."""


class HourFigures(Model):
    """The same counts by the list that brought the reader, and by time since they were mailed."""

    __tablename__ = "hour_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    hour: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """Whole hours since this reader's mail was sent; `HOURS`: later than the first week."""
    opens: Mapped[int] = mapped_column(default=0)
    clicks: Mapped[int] = mapped_column(default=0)
    unsubscribes: Mapped[int] = mapped_column(default=0)


class ListFigures(Model):
    """How many are on a list at this moment."""

    __tablename__ = "list_figures"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    confirmed: Mapped[int] = mapped_column(default=0)
    pending: Mapped[int] = mapped_column(default=0)


class ListDayFigures(Model):
    """Confirmed people who came and went on a day of the list's zone.

    What came less what went is by how many the list's confirmed people grew that day.
    """

    __tablename__ = "list_day_figures"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    joined: Mapped[int] = mapped_column(default=0)
    imported: Mapped[int] = mapped_column(default=0)
    left: Mapped[int] = mapped_column(default=0)
    removed: Mapped[int] = mapped_column(default=0)
    """By an import that was undone, or because they were erased or forgotten."""


class ExclusionFigures(Model):
    __tablename__ = "exclusion_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    reason: Mapped[Reason] = mapped_column(SmallEnum(Reason), primary_key=True)
    people: Mapped[int] = mapped_column(default=0)


class RefusalFigures(Model):
    """People whose mail ended in failure, by their provider and by how it ended."""

    __tablename__ = "refusal_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    route: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    reason: Mapped[Reason] = mapped_column(SmallEnum(Reason), primary_key=True)
    code: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    """The server's; 0: no server spoke."""
    enhanced: Mapped[str] = mapped_column(String(11), primary_key=True)
    """RFC 3463 status code; empty when the server gave none."""
    people: Mapped[int] = mapped_column(default=0)
    reply: Mapped[str] = mapped_column(String(500))
    """The words of the last such answer, addresses masked."""
    last_at: Mapped[datetime]

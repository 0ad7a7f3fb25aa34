"""Figures kept up to date by whoever changes what they count, so that no page counts rows."""

from sqlalchemy import ForeignKey, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model
from newsletter.models.delivery import Reason
from newsletter.models.types import SmallEnum


class EditionFigures(Model):
    """What a list that counts without names adds is not of readers but of times."""

    __tablename__ = "edition_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    opens: Mapped[int] = mapped_column(default=0)
    """Readers who opened at least once."""
    clicks: Mapped[int] = mapped_column(default=0)
    """Pairs of reader and link: a second click of one reader on one link does not count."""
    unsubscribes: Mapped[int] = mapped_column(default=0)


class LinkFigures(Model):
    __tablename__ = "link_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    clicks: Mapped[int] = mapped_column(default=0)
    """Readers who clicked it."""


class ExclusionFigures(Model):
    __tablename__ = "exclusion_figures"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    reason: Mapped[Reason] = mapped_column(SmallEnum(Reason), primary_key=True)
    people: Mapped[int] = mapped_column(default=0)

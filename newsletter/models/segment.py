"""Segments: saved conditions over people, their counts, and which editions they narrow."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model


class Segment(Model):
    __tablename__ = "segment"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    definition: Mapped[str] = mapped_column(Text)
    """In the language of `newsletter.audience.segments`, as it formats it."""
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))
    changed_at: Mapped[datetime]


class SegmentCount(Model):
    """The exact count of a segment that was asked for last: under way, or done."""

    __tablename__ = "segment_count"

    segment_id: Mapped[int] = mapped_column(
        ForeignKey("segment.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    definition: Mapped[str] = mapped_column(Text)
    """What is counted; the segment may have been edited since."""
    token: Mapped[int] = mapped_column(default=0)
    """One more whenever somebody takes it up: whoever holds an older number has been replaced."""
    cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    """Everybody up to this subscriber has been looked at."""
    upto: Mapped[int] = mapped_column(BigInteger)
    """The last subscriber there was when it was asked for."""
    people: Mapped[int] = mapped_column(BigInteger, default=0)
    asked_at: Mapped[datetime]
    """The instant that its periods end at, also after an interruption."""
    alive_at: Mapped[datetime | None]
    """When it last moved; None: nobody took it up yet."""
    ended_at: Mapped[datetime | None]


class SegmentUse(StrEnum):
    AUDIENCE = "audience"
    """Only these people of the edition's lists get it."""
    EXCLUSION = "exclusion"


class EditionSegment(Model):
    """A segment that narrows an edition; at most one is its audience."""

    __tablename__ = "edition_segment"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    use: Mapped[SegmentUse]
    segment_id: Mapped[int | None] = mapped_column(
        ForeignKey("segment.id", ondelete="SET NULL"), index=True
    )
    """None: it was deleted after the edition was over."""
    name: Mapped[str] = mapped_column(String(63))
    definition: Mapped[str | None] = mapped_column(Text)
    """Frozen at approval; None: nobody approved the edition as it stands."""

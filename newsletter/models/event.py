"""What readers did: raw events, and what each delivery came to."""

from datetime import datetime
from enum import IntEnum

from sqlalchemy import BigInteger, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model
from newsletter.models.types import SmallEnum


class EventKind(IntEnum):
    OPEN = 1
    CLICK = 2
    UNSUBSCRIBE = 3


class Event(Model):
    """One request, raw; `sequence` is its place in the stream, so none is written twice.

    Partitioned by day on PostgreSQL, so that retention drops whole days.
    """

    __tablename__ = "event"

    at: Mapped[datetime] = mapped_column(primary_key=True)
    sequence: Mapped[str] = mapped_column(String(40), primary_key=True)
    edition_id: Mapped[int]
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[EventKind] = mapped_column(SmallEnum(EventKind))
    link: Mapped[int | None] = mapped_column(SmallInteger)

    __table_args__ = (
        Index(None, "edition_id", "subscriber_id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )


class Engagement(Model):
    """What became of one delivery in its reader's hands; a row exists once something happened.

    `link` 0 stands for the open; each clicked link has a row of its own.
    """

    __tablename__ = "engagement"

    edition_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    link: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    first_at: Mapped[datetime]
    times: Mapped[int]

    # Segments ask what somebody did with any edition, and so does whoever asks for all about them.
    __table_args__ = (Index(None, "subscriber_id", "link", "first_at"),)


class IngestCursor(Model):
    """How far the event stream has been written; moved in the transaction that writes."""

    __tablename__ = "ingest_cursor"

    stream: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_id: Mapped[str] = mapped_column(String(40))

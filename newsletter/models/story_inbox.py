"""The inbox of stories: the feeds that a list reads, and what was found in them or handed in."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model

LONGEST_URL = 1000
LONGEST_TITLE = 300
LONGEST_SUMMARY = 2000
LONGEST_SOURCE = 80
"""As long as a briefing's text has room for."""
URL_KEY_BYTES = 16


class Feed(Model):
    """An RSS, Atom or JSON feed that a list's editors draw stories from."""

    __tablename__ = "feed"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    name: Mapped[str] = mapped_column(String(LONGEST_SOURCE), default="")
    """The source that its stories name; until somebody or the feed said it, empty."""
    etag: Mapped[str | None] = mapped_column(String(300))
    last_modified: Mapped[str | None] = mapped_column(String(100))
    """Both as the server gave them, to be asked for what is newer."""
    next_at: Mapped[datetime] = mapped_column(index=True)
    checked_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    """When it was last read without a mistake."""
    failures: Mapped[int] = mapped_column(SmallInteger, default=0)
    """In a row."""
    error: Mapped[str | None] = mapped_column(String(500))
    """What was wrong the last time; None: nothing."""
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))

    __table_args__ = (UniqueConstraint("list_id", "url"),)


class CandidateState(StrEnum):
    WAITING = "waiting"
    """An address that somebody handed in, and nobody has looked at yet."""
    UNREADABLE = "unreadable"
    NEW = "new"
    TOLD = "told"
    """An edition of the last days has it already."""
    USED = "used"
    DISMISSED = "dismissed"


class Candidate(Model):
    """A page that may become a story."""

    __tablename__ = "candidate"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    feed_id: Mapped[int | None] = mapped_column(
        ForeignKey("feed.id", ondelete="SET NULL"), index=True
    )
    """None: somebody handed its address in, or the feed is gone."""
    url: Mapped[str] = mapped_column(String(LONGEST_URL))
    url_key: Mapped[bytes] = mapped_column(LargeBinary(URL_KEY_BYTES))
    """The same for all ways to write the same address."""
    title: Mapped[str] = mapped_column(String(LONGEST_TITLE), default="")
    summary: Mapped[str] = mapped_column(String(LONGEST_SUMMARY), default="")
    source: Mapped[str] = mapped_column(String(LONGEST_SOURCE), default="")
    published_at: Mapped[datetime | None]
    found_at: Mapped[datetime]
    found_by: Mapped[str | None] = mapped_column(String(120))
    """None: a feed had it."""
    seen_at: Mapped[datetime]
    """When a feed last had it: what is still there is not forgotten, or it would come back."""
    state: Mapped[CandidateState]
    next_at: Mapped[datetime | None]
    """When its page is to be looked at; None: it was, or need not be."""
    failures: Mapped[int] = mapped_column(SmallInteger, default=0)
    error: Mapped[str | None] = mapped_column(String(500))
    same_as: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("candidate.id", ondelete="SET NULL")
    )
    """An earlier one that tells the same story; None: it is the first to."""
    edition_id: Mapped[int | None] = mapped_column(ForeignKey("edition.id"))
    """The one that it became a story of, or that tells it already."""
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[str | None] = mapped_column(String(120))
    """Who used or dismissed it."""

    __table_args__ = (
        UniqueConstraint("list_id", "url_key"),
        # The page of a list's inbox, newest first.
        Index(None, "list_id", "state", "found_at"),
        Index(None, "same_as"),
        # Whoever fetches asks which pages wait.
        Index(
            "ix_candidate_waiting",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
            sqlite_where=text("next_at IS NOT NULL"),
        ),
    )

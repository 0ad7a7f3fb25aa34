"""What people say of an edition before it is sent: tests, reviews, comments, what they put up with."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Json, Model


class ReviewEnd(StrEnum):
    APPROVED = "approved"
    RETURNED = "returned"
    """Whoever looked at it wants changes."""
    WITHDRAWN = "withdrawn"
    """Whoever had asked took it back."""


class Review(Model):
    """Somebody asked that a revision be looked at; any change of the content makes it void."""

    __tablename__ = "review"

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), index=True)
    revision: Mapped[int] = mapped_column(SmallInteger)
    note: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(String(120))
    asked_by_account: Mapped[int | None]
    """None: a command, or a key that nobody with an account made."""
    end: Mapped[ReviewEnd | None]
    """None: it is open, or became void."""
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[str | None] = mapped_column(String(120))


class Comment(Model):
    """What somebody said about a story, or the whole of an edition; it stays through revisions."""

    __tablename__ = "comment"

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), index=True)
    revision: Mapped[int] = mapped_column(SmallInteger)
    headline: Mapped[str | None] = mapped_column(Text)
    """Of the story as it was then; None: it is about the whole edition."""
    position: Mapped[int | None] = mapped_column(SmallInteger)
    """Of the story as it was then, from 1 over the whole briefing."""
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(120))
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None] = mapped_column(String(120))


class EditionTest(Model):
    """A revision was sent to a few colleagues; it counts for that revision alone."""

    __tablename__ = "edition_test"

    id: Mapped[int] = mapped_column(primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    revision: Mapped[int] = mapped_column(SmallInteger)
    mail_ids: Mapped[list[int]] = mapped_column(Json)
    """Rows of the outbox, which are deleted some days later."""
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(120))

    __table_args__ = (Index(None, "edition_id", "revision"),)


class Acknowledgement(Model):
    """A warning that somebody knows about and puts up with; another finding is another row."""

    __tablename__ = "acknowledgement"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Of all that the finding says, so that it is void when that changes."""
    code: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(120))


class CheckOverride(Model):
    """Errors that an admin lets one revision be approved in spite of."""

    __tablename__ = "check_override"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    fingerprints: Mapped[list[str]] = mapped_column(Json)
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(120))


class AudienceCount(Model):
    """How many people an edition would go to when they were last counted; frozen with an approval."""

    __tablename__ = "audience_count"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    people: Mapped[int]
    """Whoever will be excluded included."""
    excluded: Mapped[dict[str, Any]]
    """How many by the name of the reason."""
    places: Mapped[list[Any]] = mapped_column(Json, default=list)
    """Confirmed people by zone and the hour that they asked for: `[zone, hour, people]`."""
    at: Mapped[datetime]


class Correction(Model):
    """What a correction of an edition that is out puts right, for its page on the web."""

    __tablename__ = "correction"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    note: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]
    by: Mapped[str] = mapped_column(String(120))


class CorrectionMail(Model):
    """An edition that is for those alone who were sent another one before it was corrected."""

    __tablename__ = "correction_mail"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    corrects: Mapped[int] = mapped_column(ForeignKey("edition.id"), index=True)
    upto: Mapped[int] = mapped_column(SmallInteger)
    """The last revision of that one which was wrong."""

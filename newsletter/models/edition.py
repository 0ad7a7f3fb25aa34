"""Editions: one briefing on its way to one or more lists, its frozen revisions and its links."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Json, Model


class EditionState(StrEnum):
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"

    @property
    def words(self) -> str:
        """As it stands in a sentence."""
        return self.value.replace("_", " ")


ON_THE_WEB = (EditionState.SENDING, EditionState.PAUSED, EditionState.SENT)
"""States in which anybody may read an edition, once it was begun."""


class Edition(Model):
    __tablename__ = "edition"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(22), unique=True)
    state: Mapped[EditionState] = mapped_column(default=EditionState.DRAFT)
    revision: Mapped[int] = mapped_column(SmallInteger)
    """The newest revision's number."""
    approved_revision: Mapped[int | None] = mapped_column(SmallInteger)
    """None: nobody approved the content as it stands."""
    transport_id: Mapped[int | None] = mapped_column(ForeignKey("transport.id"))
    """The first of what it may leave through, frozen at approval; all of it is in `edition_transport`."""
    created_at: Mapped[datetime]
    approved_at: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    """Until then a sending that was asked for can be pulled back, and nothing begins; None: it is not."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    last_batch: Mapped[int] = mapped_column(default=0)
    planned_at: Mapped[datetime | None]
    """When the last delivery was planned; None while planning goes on."""

    __table_args__ = (
        # The pump asks for editions under way, every few seconds.
        Index(
            "ix_edition_under_way",
            "id",
            postgresql_where=text("state IN ('sending', 'cancelled') AND finished_at IS NULL"),
            sqlite_where=text("state IN ('sending', 'cancelled') AND finished_at IS NULL"),
        ),
    )


class EditionList(Model):
    """The lists an edition goes to; a person in two of them gets it through the first."""

    __tablename__ = "edition_list"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    slot_date: Mapped[date | None]
    """The day whose slot this edition fills, so that a slot is never filled twice."""

    __table_args__ = (
        UniqueConstraint("edition_id", "list_id"),
        UniqueConstraint("list_id", "slot_date"),
    )


class Revision(Model):
    """The content as it stood; a row is written once. `content_hash` is what an approval names."""

    __tablename__ = "revision"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    briefing: Mapped[dict[str, Any]]
    source_text: Mapped[str] = mapped_column(Text)
    """What was pasted, kept whatever the parser made of it."""
    subject: Mapped[str] = mapped_column(String(255))
    preheader: Mapped[str] = mapped_column(String(255))
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))
    approved_at: Mapped[datetime | None]
    approved_by: Mapped[str | None] = mapped_column(String(120))


class CompiledEdition(Model):
    """A revision in the dress of one list, as `newsletter.render.compiled.Compiled.to_bytes` has it."""

    __tablename__ = "compiled_edition"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    revision: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    form: Mapped[bytes] = mapped_column(LargeBinary)
    section_bits: Mapped[list[int | None]] = mapped_column(
        Json, default=list, server_default=text("'[]'")
    )
    """For each section of the briefing, the bit of the list's section that it is, as it was when the
    revision was approved; None: nobody can hide it."""


class Link(Model):
    """Where link `number` of an edition leads."""

    __tablename__ = "link"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    story: Mapped[int | None] = mapped_column(SmallInteger)

"""Editions: one briefing on its way to one or more lists, its frozen revisions and its links."""

from collections.abc import Collection
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    and_,
    exists,
    text,
    true,
)
from sqlalchemy.orm import Mapped, aliased, mapped_column

from newsletter.db import Json, Model
from newsletter.words import Words


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
    def words(self) -> Words:
        """As it stands in a sentence."""
        # The site's vocabulary has them for translators.
        return Words(self.value.replace("_", " "))


_ON_THE_WEB = (EditionState.SENDING, EditionState.PAUSED, EditionState.SENT)


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

    @classmethod
    def goes_only_to(cls, list_ids: Collection[int] | None) -> ColumnElement[bool]:
        """Whether somebody who has just these lists may look at it; None: they have every list."""
        if list_ids is None:
            return true()
        # Aliased, since a query over editions often is over their lists as well.
        other = aliased(EditionList)
        return ~exists().where(other.edition_id == cls.id, other.list_id.not_in(list_ids))

    @classmethod
    def is_on_the_web(cls) -> ColumnElement[bool]:
        """Anybody may read it. A schedule may be paused before it begins."""
        return and_(cls.state.in_(_ON_THE_WEB), cls.started_at.is_not(None))


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
    anchors: Mapped[list[dict[str, Any]]] = mapped_column(Json, server_default=text("'[]'"))
    """For each story of the briefing, where addresses find it (`newsletter.compose.anchors`)."""
    source_text: Mapped[str] = mapped_column(Text)
    """What was pasted, kept whatever the parser made of it."""
    subject: Mapped[str] = mapped_column(String(255))
    preheader: Mapped[str] = mapped_column(String(255))
    content_hash: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))
    created_by_account: Mapped[int | None]
    """None: a command, or a key that nobody with an account made."""
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

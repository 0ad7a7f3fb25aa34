"""What editors work on: an edition's working draft, and the versions that another's saving displaced."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Json, Model


class DraftColumns:
    """A draft's content, as `newsletter.compose.content.DraftContent` has it."""

    briefing: Mapped[dict[str, Any]]
    subject: Mapped[str | None] = mapped_column(String(255))
    """None: the briefing's title."""
    preheader: Mapped[str | None] = mapped_column(String(255))
    """None: the key points."""
    set_aside: Mapped[list[dict[str, Any]]] = mapped_column(Json)
    unread_text: Mapped[str | None] = mapped_column(Text)
    """A text that holds no briefing yet, kept beside the structure until it does."""
    source_text: Mapped[str] = mapped_column(Text)
    """What was pasted last, as it was; empty if nothing ever was."""


class WorkingDraft(DraftColumns, Model):
    """The one row that autosave writes, each time one version further; revisions are cut from it."""

    __tablename__ = "draft"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    version: Mapped[int]
    changed_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(120))
    changed_by_account: Mapped[int | None]
    """None: a command, or a key that nobody with an account made."""


class KeptDraft(DraftColumns, Model):
    """A version that could not be saved because somebody else had saved first; nothing is lost."""

    __tablename__ = "kept_draft"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    based_on: Mapped[int]
    """The version that whoever wrote it had seen last."""
    kept_at: Mapped[datetime]
    kept_by: Mapped[str] = mapped_column(String(120))

    # A tab that goes on saving on top of what it has seen writes over its own kept version.
    __table_args__ = (UniqueConstraint("edition_id", "based_on", "kept_by"),)

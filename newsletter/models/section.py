"""Sections of lists: what a briefing's headings mean, and what a reader may hide."""

from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Json, Model

MOST_SECTIONS = 63
"""In a list's life: the bits of `subscription.hidden_sections`, less the sign."""


class ListSection(Model):
    """A retired section keeps its row, so that its bit never comes to mean another one."""

    __tablename__ = "section"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    bit: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(63))
    """Stable through renames; unique among the list's sections, the retired ones included."""
    name: Mapped[str] = mapped_column(String(120))
    aliases: Mapped[list[str]] = mapped_column(Json, default=list)
    """Other headings that mean this section."""
    is_pinned: Mapped[bool] = mapped_column(default=False)
    """In everybody's mail: nobody can hide it."""
    position: Mapped[int] = mapped_column(SmallInteger)
    """Its place on the preferences page."""
    retired_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("list_id", "key"),)

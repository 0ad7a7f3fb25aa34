"""Attributes: what this installation keeps about people beyond name, language and time zone."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Json, Model


class AttributeKind(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"


class Attribute(Model):
    """The values stand in `subscriber.attributes` under the key, as JSON has them; dates as text.

    No index serves them yet: one is made per attribute, on its expression, when segments ask often
    enough to pay for it at every write.
    """

    __tablename__ = "attribute"

    key: Mapped[str] = mapped_column(String(63), primary_key=True)
    label: Mapped[str] = mapped_column(String(120))
    kind: Mapped[AttributeKind]
    choices: Mapped[list[str]] = mapped_column(Json, default=list)
    """What may be chosen, in order; empty for every other kind."""
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    """Values from before stay; new ones are refused."""

"""What was found when a transport, or a sending domain, was last looked at."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Json, Model


class InspectionKind(StrEnum):
    TRANSPORT = "transport"
    """Its server: does it greet us and let us in?"""
    DOMAIN = "domain"
    """Its DNS: does it say what mailbox providers ask for?"""


class Inspection(Model):
    """The last one of each thing; a worker makes it, which looks from where mail leaves."""

    __tablename__ = "inspection"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[InspectionKind]
    key: Mapped[str] = mapped_column(String(255))
    """A transport's id, or a domain."""
    asked_at: Mapped[datetime]
    asked_by: Mapped[str] = mapped_column(String(120))
    begun_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    findings: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    """`subject`, `health`, `finding` and `remedy` of each, as `deliver.diagnosis` has them."""

    __table_args__ = (UniqueConstraint("kind", "key"),)

"""How deliveries in doubt were settled: append-only, with who or what said so."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model
from newsletter.models.delivery import DeliveryState
from newsletter.models.types import SmallEnum


class Evidence(StrEnum):
    """What settled a doubt; a bounce too says that the message had been taken."""

    OPEN = "open"
    CLICK = "click"
    UNSUBSCRIBE = "unsubscribe"
    BOUNCE = "bounce"
    RELAY = "relay"
    JOURNAL = "journal"
    PERSON = "person"
    POLICY = "policy"


class Settlement(Model):
    """One delivery that was in doubt and is sent, or waits again."""

    __tablename__ = "settlement"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    state: Mapped[DeliveryState] = mapped_column(SmallEnum(DeliveryState))
    """What it was settled to be."""
    evidence: Mapped[Evidence]
    by: Mapped[str | None] = mapped_column(String(120))
    """Who decided; None: the machine, by the evidence alone."""

    __table_args__ = (Index(None, "edition_id", "subscriber_id"),)

"""Lists, the tie of a person to a list, and the evidence for that tie."""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model
from newsletter.models.types import SmallEnum


class OptIn(StrEnum):
    SINGLE = "single"
    DOUBLE = "double"


class OnUncertain(StrEnum):
    """What happens by itself to a delivery in doubt: nothing, or it is sent once more."""

    HOLD = "hold"
    RESEND = "resend"


class MailingList(Model):
    """What people subscribe to; it carries the masthead and the sender."""

    __tablename__ = "list"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(63), unique=True)
    """Stable for the list's life, also through renames: it is part of the List-Id (RFC 2919)."""
    name: Mapped[str] = mapped_column(String(120))
    tagline: Mapped[str] = mapped_column(String(200), default="")
    accent: Mapped[str] = mapped_column(String(7), default="#0b57d0")
    language: Mapped[str] = mapped_column(String(35), default="en")
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    sender_name: Mapped[str] = mapped_column(String(120))
    sender_address: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str | None] = mapped_column(String(254))
    """None: replies go to the sender's address."""
    postal_address: Mapped[str] = mapped_column(String(500))
    opt_in: Mapped[OptIn] = mapped_column(default=OptIn.DOUBLE)
    on_uncertain: Mapped[OnUncertain] = mapped_column(
        default=OnUncertain.HOLD, server_default=OnUncertain.HOLD.value
    )
    transport_id: Mapped[int | None] = mapped_column(ForeignKey("transport.id"))
    """None: the installation's first transport."""
    created_at: Mapped[datetime]


class SubscriptionStatus(IntEnum):
    PENDING = 0
    CONFIRMED = 1
    UNSUBSCRIBED = 2


class Subscription(Model):
    __tablename__ = "subscription"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE"), primary_key=True
    )
    status: Mapped[SubscriptionStatus] = mapped_column(SmallEnum(SubscriptionStatus))
    hidden_sections: Mapped[int] = mapped_column(BigInteger, default=0)
    """One bit for each section of the list that this person does not want; no bit is used twice."""
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]

    # A person's own page, and erasure, look subscriptions up by person.
    __table_args__ = (Index(None, "subscriber_id"),)


class ConsentKind(StrEnum):
    IMPORTED = "imported"
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


class ConsentEvent(Model):
    """Append-only: who agreed to what, when and how; nothing here is ever updated."""

    __tablename__ = "consent_event"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE"), index=True
    )
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    kind: Mapped[ConsentKind]
    at: Mapped[datetime]
    evidence: Mapped[dict[str, Any]] = mapped_column(default=dict)

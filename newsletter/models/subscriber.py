"""People: a subscriber, the time zone they live in and the domain their mail goes to."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Identity, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import BigId, Model


class Zone(Model):
    """An IANA time zone, so that a row per person holds two bytes and not its name."""

    __tablename__ = "zone"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)


class Domain(Model):
    """The part behind the @, in A-labels: mail is routed and throttled by it."""

    __tablename__ = "domain"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)


class Subscriber(Model):
    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    """As it is mailed: the local part in the person's own case, the domain in A-labels."""
    address_key: Mapped[str] = mapped_column(String(254), unique=True)
    """Case-folded; what makes two spellings one person."""
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    """The keyed hash that suppressions are matched by, kept here so that planning joins on it."""
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    zone_id: Mapped[int | None] = mapped_column(SmallInteger, ForeignKey("zone.id"))
    """None: unknown, so the list's zone counts."""
    language: Mapped[str | None] = mapped_column(String(35))
    name: Mapped[str] = mapped_column(String(200), default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime]

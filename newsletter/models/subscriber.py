"""People: a subscriber, the time zone they live in and the domain their mail goes to."""

from datetime import date, datetime, time
from enum import IntFlag, StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import BigId, Model
from newsletter.models.route import OTHER


class Zone(Model):
    """An IANA time zone, so that a row per person holds two bytes and not its name."""

    __tablename__ = "zone"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)


class DomainVerdict(StrEnum):
    """What DNS says of mail to a domain."""

    UNKNOWN = "unknown"
    TAKES_MAIL = "takes mail"
    NO_MAIL = "no mail"
    """It says so itself (RFC 7505), or has not existed for a day."""


class Domain(Model):
    """The part behind the @, in A-labels: mail is routed and throttled by it."""

    __tablename__ = "domain"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    route: Mapped[int] = mapped_column(SmallInteger, default=OTHER, server_default="0")
    """The number of its provider in `route`."""
    mx_site: Mapped[str | None] = mapped_column(String(255))
    """Names the set of its mail hosts: domains of one site share the site's limits."""
    verdict: Mapped[DomainVerdict] = mapped_column(
        default=DomainVerdict.UNKNOWN, server_default="unknown"
    )
    missing_since: Mapped[datetime | None]
    """When DNS first said that there is no such domain; None: it exists, or nobody knows."""
    expires_at: Mapped[datetime | None]
    """When DNS is asked again; None: it never was."""

    # What the resolver reads: domains that it never asked for, then those due again.
    __table_args__ = (Index("ix_domain_due", "expires_at"),)


class OwnField(IntFlag):
    """Bits of `subscriber.own_fields`; all attributes share one."""

    NAME = 1
    LANGUAGE = 2
    ZONE = 4
    DELIVERY_TIME = 8
    BREAK = 16
    ATTRIBUTES = 32


class Subscriber(Model):
    __tablename__ = "subscriber"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    address: Mapped[str] = mapped_column(String(254))
    """As it is mailed: the local part in the person's own case, the domain in A-labels."""
    # Collated by bytes, so that its index finds beginnings of addresses too.
    address_key: Mapped[str] = mapped_column(
        String(254).with_variant(String(254, collation="C"), "postgresql"), unique=True
    )
    """Case-folded; what makes two spellings one person."""
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    """The keyed hash that suppressions are matched by, kept here so that planning joins on it."""
    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"))
    zone_id: Mapped[int | None] = mapped_column(SmallInteger, ForeignKey("zone.id"))
    """None: unknown, so the list's zone counts."""
    language: Mapped[str | None] = mapped_column(String(35))
    name: Mapped[str] = mapped_column(String(200), default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """By the keys of `attribute`; what is unknown has no key."""
    delivery_time: Mapped[time | None]
    """The hour they asked for, in their own zone; None: each list's."""
    break_until: Mapped[date | None]
    """The first day on which they want mail again; None: they take no break."""
    own_fields: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """`OwnField`s that the person changed last: no import overwrites them, nor fills them in."""
    import_id: Mapped[int | None]
    """The import that first knew them; None: they came another way."""
    created_at: Mapped[datetime]
    clicked_at: Mapped[datetime | None]
    """About when they last followed a link, to the day: a warming transport begins with those who do."""

    __table_args__ = (
        # The resolver asks which domains still have people; the office pages through one's.
        Index(None, "domain_id", "id"),
        # The office looks people up by how their names begin; the key makes it all that is read.
        Index("ix_subscriber_name", "name", "id", postgresql_ops={"name": "varchar_pattern_ops"}),
        # A schedule asks which hours of their own people have, and who has one.
        Index(
            "ix_subscriber_own_hour",
            *("delivery_time", "zone_id"),
            postgresql_where=text("delivery_time IS NOT NULL"),
            sqlite_where=text("delivery_time IS NOT NULL"),
        ),
    )

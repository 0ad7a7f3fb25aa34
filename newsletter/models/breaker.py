"""What is kept from sending and why, and the counters that decide it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model

EVERY_TRANSPORT = 0
"""The transport of a hold that does not depend on one."""


class HoldScope(StrEnum):
    """What a hold keeps back; its `key` names which one."""

    TRANSPORT = "transport"
    ROUTE = "route"
    SENDER_DOMAIN = "sender_domain"
    RECIPIENT_DOMAIN = "recipient_domain"
    EDITION = "edition"


class HoldAction(StrEnum):
    SUSPEND = "suspend"
    RATE = "rate"
    CONNECTIONS = "connections"


class Hold(Model):
    """Something that is not sent to or through for a while. Rows stay: they are the history."""

    __tablename__ = "hold"

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[HoldScope]
    key: Mapped[str] = mapped_column(String(255))
    """A transport's, domain's or edition's id, a route's number, or the From domain's name."""
    transport_id: Mapped[int]
    """`EVERY_TRANSPORT` when it does not depend on one."""
    action: Mapped[HoldAction]
    value: Mapped[str] = mapped_column(String(20), default="")
    """What a rate or a number of connections is brought down to."""
    rule: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(String(300))
    """One sentence, with the numbers that decided."""
    reply: Mapped[str] = mapped_column(String(300), default="")
    """The server's words that brought it about, without addresses."""
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    """None: until somebody lifts it, or a probe succeeds."""
    probe_at: Mapped[datetime | None]
    """From when on one process may try; None: nobody tries by itself."""
    probes: Mapped[int] = mapped_column(SmallInteger, default=0)
    probing_until: Mapped[datetime | None]
    """One process is trying and will have said by then how it went."""
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[str | None] = mapped_column(String(120))

    __table_args__ = (
        # What every claim reads; and of two processes that hold the same thing, one is first.
        Index(
            "uq_hold_open",
            "scope",
            "key",
            "transport_id",
            "action",
            unique=True,
            postgresql_where=text("lifted_at IS NULL"),
            sqlite_where=text("lifted_at IS NULL"),
        ),
    )


class Traffic(Model):
    """What became of tries within one minute, by transport, route and From domain; kept two hours."""

    __tablename__ = "traffic"

    transport_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    route: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    sender_domain: Mapped[str] = mapped_column(String(255), primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    tried: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    blocked: Mapped[int] = mapped_column(default=0)
    unauthentic: Mapped[int] = mapped_column(default=0)


class EditionHealth(Model):
    """What an edition met with since it was started, or resumed after a breaker had paused it."""

    __tablename__ = "edition_health"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    hard: Mapped[int] = mapped_column(default=0)
    unsendable: Mapped[int] = mapped_column(default=0)
    tried_before: Mapped[int] = mapped_column(default=0)
    """People who had been tried when it was last paused by a breaker; they count no more."""


class DomainTrouble(Model):
    """Recipient domains that refused people for good, since they last accepted one."""

    __tablename__ = "domain_trouble"

    domain_id: Mapped[int] = mapped_column(ForeignKey("domain.id"), primary_key=True)
    hard: Mapped[int]


class RuleMatch(Model):
    """How often a reply rule matched that acts only when it matches often; kept an hour."""

    __tablename__ = "rule_match"

    id: Mapped[int] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(String(40))
    transport_id: Mapped[int]
    route: Mapped[int] = mapped_column(SmallInteger)
    at: Mapped[datetime]
    times: Mapped[int]

    __table_args__ = (Index(None, "rule", "transport_id", "route"),)

"""Routes: the mailbox providers that mail goes to, how fast each may be mailed, and warm-up plans."""

from datetime import date, datetime

from sqlalchemy import Float, ForeignKey, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model

OTHER = 0
"""The route of every domain whose provider is not in the table of providers."""


class Route(Model):
    """A provider's number, which batches carry, and what the operator set for it."""

    __tablename__ = "route"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    connections: Mapped[int | None] = mapped_column(SmallInteger)
    """None: as the table of providers has it."""
    rate: Mapped[str | None] = mapped_column(String(20))
    """Such as 100/min; None: as the table of providers has it."""


class Pace(Model):
    """How fast a provider takes mail from a transport, as its answers have taught.

    A provider that has no row is begun with carefully. All workers read and write the same row.
    """

    __tablename__ = "pace"

    transport_id: Mapped[int] = mapped_column(ForeignKey("transport.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    """What is limited: a provider, a set of mail hosts or a domain."""
    connections: Mapped[int] = mapped_column(SmallInteger)
    rate: Mapped[float] = mapped_column(Float)
    """Messages a second."""
    slowed_at: Mapped[datetime | None]
    """When the provider last asked for less."""
    changed_at: Mapped[datetime]


class WarmUp(Model):
    """A transport whose daily mail to each provider grows from little to much."""

    __tablename__ = "warm_up"

    transport_id: Mapped[int] = mapped_column(ForeignKey("transport.id"), primary_key=True)
    first_cap: Mapped[int]
    growth: Mapped[float] = mapped_column(Float)
    """A day's cap is that of the last day in use times this."""
    full_cap: Mapped[int]
    """Whoever has had a good day at this cap is warm: no cap any more."""
    started_at: Mapped[datetime]


class WarmUpDay(Model):
    """What a warming transport may send and has sent to a provider on one day (UTC)."""

    __tablename__ = "warm_up_day"

    transport_id: Mapped[int] = mapped_column(ForeignKey("transport.id"), primary_key=True)
    route: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    cap: Mapped[int | None]
    """None: warm."""
    reserved: Mapped[int] = mapped_column(default=0)
    """Never more than the cap: taken at the claim, and what was not tried is given back."""
    tried: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    blocked: Mapped[int] = mapped_column(default=0)
    complaints: Mapped[int] = mapped_column(default=0)

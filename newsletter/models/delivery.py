"""The ledger: one delivery per edition and subscriber, claimed in batches.

planned = waiting + deferred + sent + excluded + failed + uncertain + cancelled at every moment,
and a batch's counters equal the counts of its rows.
"""

from datetime import datetime
from enum import IntEnum, StrEnum

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model
from newsletter.models.types import SmallEnum

NO_BATCH = 0
"""The batch of people who were excluded when the edition was planned; it is never claimed."""


class DeliveryState(IntEnum):
    WAITING = 0
    SENT = 1
    DEFERRED = 2
    FAILED = 3
    EXCLUDED = 4
    UNCERTAIN = 5
    CANCELLED = 6


class Reason(IntEnum):
    """Why a delivery was excluded, failed, was deferred or is in doubt."""

    SUPPRESSED = 1
    UNSUBSCRIBED = 2
    UNCONFIRMED = 3
    ON_BREAK = 4
    NOTHING_LEFT = 5
    """They hide every section of it."""
    SEGMENT = 6
    """Of a segment that the edition leaves out."""
    OFTEN_ENOUGH = 7
    """They were sent as many editions within a day as the list lets them have."""
    ZONE_PAST = 10
    NO_SUCH_DATE = 11
    TOO_LATE = 12
    REFUSED = 20
    EXPIRED = 21
    UNSENDABLE = 22
    BUSY = 40
    CONNECTION = 41
    WORKER_DIED = 60
    ANSWER_LOST = 61


class ReplyClass(StrEnum):
    """What a server's words mean, whatever its code says: `newsletter/deliver/classes.toml`."""

    HARD_BAD_MAILBOX = "hard.bad_mailbox"
    HARD_BAD_DOMAIN = "hard.bad_domain"
    HARD_MOVED = "hard.moved"
    HARD_DISABLED = "hard.disabled"
    SOFT_MAILBOX_FULL = "soft.mailbox_full"
    SOFT_EXPIRED = "soft.expired"
    SOFT_GREYLISTED = "soft.greylisted"
    SOFT_NETWORK = "soft.network"
    SOFT_SYSTEM = "soft.system"
    SOFT_CONTENT = "soft.content"
    BLOCK_REPUTATION = "block.reputation"
    BLOCK_AUTH = "block.auth"
    BLOCK_RATE = "block.rate"
    BLOCK_POLICY_RECIPIENT = "block.policy_recipient"
    UNKNOWN = "unknown"

    @property
    def is_hard(self) -> bool:
        """The address is at fault, not we, the content or the weather."""
        return self.value.startswith("hard.")


class Delivery(Model):
    """Narrow on purpose: there is one for every reader of every edition.

    No foreign keys (two look-ups a row while planning a million) and no index on `state` (it would
    cost every update its place on the page); partitioned by edition on PostgreSQL.
    """

    __tablename__ = "delivery"

    # Wide columns first: PostgreSQL pads each value to its own size.
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    sent_at: Mapped[datetime | None]
    edition_id: Mapped[int]
    list_id: Mapped[int]
    """The list that brought this person: List-Id, and what an unsubscription ends."""
    batch: Mapped[int]
    state: Mapped[DeliveryState] = mapped_column(SmallEnum(DeliveryState))
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    revision: Mapped[int | None] = mapped_column(SmallInteger)
    """The revision this person was sent."""
    code: Mapped[int | None] = mapped_column(SmallInteger)
    """The server's last reply code."""
    reason: Mapped[Reason | None] = mapped_column(SmallEnum(Reason))

    __table_args__ = (
        PrimaryKeyConstraint("edition_id", "subscriber_id"),
        Index(None, "edition_id", "batch"),  # the rows of a claimed batch
        {"postgresql_partition_by": "LIST (edition_id)", "sqlite_with_rowid": False},
    )


class BatchState(IntEnum):
    READY = 0
    CLAIMED = 1
    DONE = 2


class Batch(Model):
    """Deliveries claimed together; its waiting people are `people` less the other counters."""

    __tablename__ = "batch"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[BatchState] = mapped_column(SmallEnum(BatchState))
    wave: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """0: of none, as whoever was excluded when the edition was planned."""
    due_at: Mapped[datetime]
    deadline_at: Mapped[datetime | None]
    """From when on nobody in it is mailed any more; None: never too late."""
    lease_token: Mapped[int] = mapped_column(default=0)
    """One more at each claim: whoever holds an older number has been replaced."""
    lease_until: Mapped[datetime | None]
    route: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """The provider that all of its people have, or 0 for people of the many others."""
    tier: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    """While a transport warms up: of batches that are due together the lowest goes first."""
    intent_upto: Mapped[int] = mapped_column(BigInteger, default=0)
    """Nobody with a greater subscriber id has been put on the wire under this claim."""
    revision: Mapped[int | None] = mapped_column(SmallInteger)
    """What the last claim sent; None before the first."""
    people: Mapped[int] = mapped_column(default=0)
    sent: Mapped[int] = mapped_column(default=0)
    deferred: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    uncertain: Mapped[int] = mapped_column(default=0)
    excluded: Mapped[int] = mapped_column(default=0)
    cancelled: Mapped[int] = mapped_column(default=0)
    transport_id: Mapped[int | None]
    """Which transport the last claim chose; a later one stays with it while it works."""

    __table_args__ = (
        # What the claim reads: a route's earliest due batch that nobody holds.
        Index(
            "ix_batch_ready",
            *("route", "due_at", "tier", "edition_id", "number"),
            postgresql_where=text("state = 0"),
            sqlite_where=text("state = 0"),
        ),
        # What recovery reads: claims whose lease ran out.
        Index(
            "ix_batch_claimed",
            "lease_until",
            postgresql_where=text("state = 1"),
            sqlite_where=text("state = 1"),
        ),
    )


class Deferral(Model):
    """A delivery that was tried and must be tried again; it keeps the Date of the first attempt."""

    __tablename__ = "deferral"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_at: Mapped[datetime]
    next_at: Mapped[datetime | None]
    """None while the delivery is back in a batch."""

    __table_args__ = (
        # The pump takes what is due.
        Index(
            "ix_deferral_due",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
            sqlite_where=text("next_at IS NOT NULL"),
        ),
    )


class Attempt(Model):
    """One try that did not end well, with the server's words; successes need no row here."""

    __tablename__ = "attempt"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"))
    subscriber_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    lease_token: Mapped[int | None]
    """The claim that it was made under; None: by whoever has no claim."""
    state: Mapped[DeliveryState] = mapped_column(SmallEnum(DeliveryState))
    reason: Mapped[Reason] = mapped_column(SmallEnum(Reason))
    code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced: Mapped[str | None] = mapped_column(String(11))
    """RFC 3463 status code, when the server gave one."""
    reply: Mapped[str] = mapped_column(String(500), default="")
    reply_class: Mapped[ReplyClass | None]
    """None when no server spoke."""

    __table_args__ = (
        Index(None, "edition_id", "subscriber_id"),
        Index(None, "edition_id", "id"),  # the newest of an edition, while it is watched
        # What the policy for doubts reads.
        Index(
            "ix_attempt_doubt",
            "at",
            postgresql_where=text("state = 5"),
            sqlite_where=text("state = 5"),
        ),
    )

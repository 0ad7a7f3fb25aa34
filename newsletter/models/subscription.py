"""Lists, the tie of a person to a list, and the evidence for that tie."""

from datetime import datetime, time
from enum import IntEnum, StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, SmallInteger, String, false, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model
from newsletter.models.types import SmallEnum

BACKDROP = "#f2f0eb"


class OptIn(StrEnum):
    SINGLE = "single"
    DOUBLE = "double"


class OnUncertain(StrEnum):
    """What happens by itself to a delivery in doubt: nothing, or it is sent once more."""

    HOLD = "hold"
    RESEND = "resend"


class Tracking(StrEnum):
    """What a list's mail tells about its readers."""

    FULL = "full"
    ANONYMOUS = "anonymous"
    """Opens and clicks are counted, and nobody knows whose they were."""
    OFF = "off"
    """No pixel, and links that lead straight to where they lead."""


class Archive(StrEnum):
    """Who finds a list's past editions on the web."""

    PUBLIC = "public"
    """Everybody, by search engines too."""
    UNLISTED = "unlisted"
    """Whoever has the address; search engines are asked to stay away."""
    OFF = "off"
    """Nobody: an edition's page is for those who come from its mail."""


class Font(StrEnum):
    """Families that mail programs have; which stacks they stand for says `newsletter.render.theme`."""

    SYSTEM = "system"
    HELVETICA = "helvetica"
    VERDANA = "verdana"
    TREBUCHET = "trebuchet"
    GEORGIA = "georgia"
    TIMES = "times"
    PALATINO = "palatino"


class MailingList(Model):
    """What people subscribe to; it carries the masthead and the sender."""

    __tablename__ = "list"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(63), unique=True)
    """Stable for the list's life, also through renames: it is part of the List-Id (RFC 2919)."""
    name: Mapped[str] = mapped_column(String(120))
    tagline: Mapped[str] = mapped_column(String(200), default="")
    description: Mapped[str] = mapped_column(String(1000), default="", server_default="")
    """What a reader may expect of it, for the public pages."""
    accent: Mapped[str] = mapped_column(String(7), default="#0b57d0")
    backdrop: Mapped[str] = mapped_column(String(7), default=BACKDROP, server_default=BACKDROP)
    """The colour behind the sheet, by day."""
    heading_font: Mapped[Font] = mapped_column(default=Font.GEORGIA, server_default="georgia")
    text_font: Mapped[Font] = mapped_column(default=Font.SYSTEM, server_default="system")
    logo: Mapped[str | None] = mapped_column(String(120))
    """The file below /media/ that stands in the masthead; None: the list's name does."""
    logo_width: Mapped[int | None] = mapped_column(SmallInteger)
    """Of the file, in pixels, as is the height."""
    logo_height: Mapped[int | None] = mapped_column(SmallInteger)
    footer: Mapped[str] = mapped_column(String(500), default="", server_default="")
    """What the foot of each mail says besides: an imprint, a motto; it may have several lines."""
    language: Mapped[str] = mapped_column(String(35), default="en")
    zone: Mapped[str] = mapped_column(String(64), default="UTC")
    sender_name: Mapped[str] = mapped_column(String(120))
    sender_address: Mapped[str] = mapped_column(String(254))
    reply_to: Mapped[str | None] = mapped_column(String(254))
    """None: replies go to the sender's address."""
    postal_address: Mapped[str] = mapped_column(String(500))
    opt_in: Mapped[OptIn] = mapped_column(default=OptIn.DOUBLE)
    is_public: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether a stranger may find it and sign up; nobody joins a private list by themselves."""
    send_time: Mapped[time | None]
    """When its readers usually get it, in the zone of each; None: at no usual time."""
    tracking: Mapped[Tracking] = mapped_column(default=Tracking.FULL, server_default="full")
    archive: Mapped[Archive] = mapped_column(default=Archive.UNLISTED, server_default="unlisted")
    on_uncertain: Mapped[OnUncertain] = mapped_column(
        default=OnUncertain.HOLD, server_default=OnUncertain.HOLD.value
    )
    four_eyes: Mapped[bool | None]
    """Whether nobody approves what they wrote or submitted; None: as the installation has it."""
    cool_off_seconds: Mapped[int | None]
    """How long a sending at once can be pulled back; None: as the number of its people asks for."""
    most_a_day: Mapped[int | None] = mapped_column(SmallInteger)
    """Whoever was sent so many editions of any list within a day is not sent this one's; None: all are."""
    transport_id: Mapped[int | None] = mapped_column(ForeignKey("transport.id"))
    """Of an older version, which had one for a list; now there is `list_transport`."""
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    """From then on it has no new subscriptions and no new editions; links in its mail still work."""


class SubscriptionStatus(IntEnum):
    PENDING = 0
    CONFIRMED = 1
    UNSUBSCRIBED = 2


class LeavingReason(IntEnum):
    """What somebody said afterwards, if they were so kind."""

    TOO_MUCH = 1
    NOT_FOR_ME = 2
    NEVER_ASKED = 3
    ELSEWHERE = 4
    """They get the news another way."""
    OTHER = 5


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
    left_reason: Mapped[LeavingReason | None] = mapped_column(SmallEnum(LeavingReason))
    """None: they said nothing, or are on the list."""
    import_id: Mapped[int | None]
    """The import that made it; None: no import did."""

    __table_args__ = (
        # A person's own page, and erasure, look subscriptions up by person.
        Index(None, "subscriber_id"),
        # The office pages through those of a list who are not on it, or not yet: few of many.
        Index(
            "ix_subscription_apart",
            *("list_id", "status", "subscriber_id"),
            postgresql_where=text("status <> 1"),
            sqlite_where=text("status <> 1"),
        ),
    )


class ConsentKind(StrEnum):
    IMPORTED = "imported"
    REQUESTED = "requested"
    """Somebody asked for it; it holds once the person has confirmed."""
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"
    IMPORT_UNDONE = "import undone"
    """An admin took back the import that had subscribed them; they themselves said nothing."""


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

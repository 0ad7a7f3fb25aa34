"""The outbox of single mails: test sends, alarms and whatever else concerns one person at once."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, Identity, Index, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Model


class SystemMailKind(StrEnum):
    """Each but `TEST` has a folder of its name in `templates/email/system`."""

    TEST = "test"
    ALARM = "alarm"
    CONFIRM = "confirm"
    WELCOME = "welcome"
    ALREADY = "already"
    """Who asks for a list that they get already."""
    LINK = "link"
    INVITE = "invite"
    MOVE = "move"
    """Whether mail is to go to another address: one to the old, one to the new."""
    MY_DATA = "my-data"
    ERASE_ME = "erase-me"
    ACCOUNT_INVITE = "account-invite"
    """To somebody who was given access, as are the next two."""
    PASSWORD_RESET = "password-reset"  # noqa: S105  it is the name of a template
    ACCOUNT_NOTICE = "account-notice"
    """What was changed about how they sign in."""
    REVIEW_ASKED = "review-asked"
    """To whoever may approve an edition."""
    REVIEW_ENDED = "review-ended"
    """To whoever had asked for its review."""


class SystemMailState(StrEnum):
    WAITING = "waiting"
    CLAIMED = "claimed"
    SENT = "sent"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class SystemMail(Model):
    """The row is the truth, a bell only a nudge; it is deleted some days after it came to an end."""

    __tablename__ = "system_mail"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    reference: Mapped[str] = mapped_column(String(32), unique=True)
    """Names it, and tells nothing, in its Message-ID and its return path."""
    kind: Mapped[SystemMailKind]
    to_address: Mapped[str] = mapped_column(String(254))
    list_id: Mapped[int | None] = mapped_column(ForeignKey("list.id"))
    """The list whose sender and transport it leaves with; None: the installation's own."""
    data: Mapped[dict[str, Any]]
    """What its template, or its edition's compiled form, is filled with."""
    state: Mapped[SystemMailState] = mapped_column(default=SystemMailState.WAITING)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    lease_token: Mapped[int] = mapped_column(default=0)
    """One more at each claim: whoever holds an older number has been replaced."""
    next_at: Mapped[datetime]
    """When to try; of a claimed one, when its worker counts as dead."""
    reply: Mapped[str] = mapped_column(Text, default="")
    """The server's last answer, or what kept us from getting one."""
    dedupe: Mapped[str | None] = mapped_column(String(120), unique=True)
    """What may be told only once; None: as often as it is posted."""
    created_at: Mapped[datetime]
    """Its Date as well, on every try."""
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        # What a claim reads: the earliest due one.
        Index(
            "ix_system_mail_due",
            "next_at",
            postgresql_where=text("state IN ('waiting', 'claimed')"),
            sqlite_where=text("state IN ('waiting', 'claimed')"),
        ),
    )


class RecipientOfTests(Model):
    """An address, or `@` and a domain, that test sends may go to."""

    __tablename__ = "test_recipient"

    pattern: Mapped[str] = mapped_column(String(255), primary_key=True)
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(120))

"""The address that a list's alarms are posted to, and what came of posting them."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model

LONGEST_TARGET = 1000
LONGEST_ANSWER = 500


class AlarmTarget(Model):
    """Where a list's alarms are posted, signed with the secret that the other side knows too."""

    __tablename__ = "alarm_target"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    url: Mapped[str] = mapped_column(String(LONGEST_TARGET))
    secret_sealed: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))


class CallState(StrEnum):
    WAITING = "waiting"
    ANSWERED = "answered"
    FAILED = "failed"
    """Given up: by now nobody needs the alarm."""


class AlarmCall(Model):
    """One alarm on its way to a list's address."""

    __tablename__ = "alarm_call"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    alarm_id: Mapped[int | None] = mapped_column(ForeignKey("alarm.id"), index=True)
    """None: somebody tried the address out."""
    reference: Mapped[str] = mapped_column(String(40), unique=True)
    """The same in every try, so that the other side may tell a repetition."""
    body: Mapped[str] = mapped_column(String(4000))
    state: Mapped[CallState]
    tries: Mapped[int] = mapped_column(SmallInteger, default=0)
    next_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    tried_at: Mapped[datetime | None]
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """Of the last answer; None: there was none."""
    answer: Mapped[str] = mapped_column(String(LONGEST_ANSWER), default="")
    """What the server said last, or why it could not be asked."""

    __table_args__ = (
        # The page of slots shows a list's last calls.
        Index(None, "list_id", "created_at"),
        Index(
            "ix_alarm_call_waiting",
            "next_at",
            postgresql_where=text("next_at IS NOT NULL"),
            sqlite_where=text("next_at IS NOT NULL"),
        ),
    )

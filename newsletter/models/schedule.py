"""When an edition is due for whom: waves, the local time they come from, slots and their alarms."""

from datetime import date, datetime, time
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    SmallInteger,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model
from newsletter.models.delivery import Reason
from newsletter.models.staff import Role
from newsletter.models.types import SmallEnum


class Wave(Model):
    """People of an edition who share an instant; one that is sent at once has one wave for all."""

    __tablename__ = "wave"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    number: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    due_at: Mapped[datetime]
    deadline_at: Mapped[datetime | None]
    """From when on nobody of it is mailed any more; None: never too late."""
    exclusion: Mapped[Reason | None] = mapped_column(SmallEnum(Reason))
    """Why nobody of it is mailed at all."""
    is_sweep: Mapped[bool] = mapped_column(default=False)
    """The last one: whoever changed their zone, or joined in time, and was in none of the others."""
    plan_position: Mapped[int] = mapped_column(SmallInteger, default=0)
    """Which of the edition's lists planning has come to."""
    plan_cursor: Mapped[int] = mapped_column(BigInteger, default=0)
    """The last subscriber of that list who was looked at; planning resumes behind them."""
    planned_at: Mapped[datetime | None]
    """When its last delivery was planned."""


class Past(StrEnum):
    """What becomes of zones where it is later than the chosen time already."""

    SEND = "send"
    SKIP = "skip"


class LocalSchedule(Model):
    """The date and wall-clock time at which an edition reaches every reader where they live."""

    __tablename__ = "local_schedule"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    day: Mapped[date]
    at: Mapped[time]
    past: Mapped[Past]
    deadline_minutes: Mapped[int]
    """After the wall-clock time, in each zone."""
    made_at: Mapped[datetime]
    tzdata: Mapped[str] = mapped_column(String(16))
    """The edition of the IANA rules that the waves were computed from."""
    last_zone: Mapped[int]
    """The greatest zone id they were computed for."""
    hours_at: Mapped[datetime | None]
    """When people's own hours were last looked at; None: never."""


class WaveZone(Model):
    """A wave's time zones; people without one, or with one that is gone, are in their list's."""

    __tablename__ = "wave_zone"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    zone_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("zone.id"), primary_key=True, autoincrement=False
    )
    wave: Mapped[int] = mapped_column(SmallInteger)


class WaveHour(Model):
    """The wave of people who asked for an hour of their own; whoever did not is in their zone's."""

    __tablename__ = "wave_hour"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    zone_id: Mapped[int] = mapped_column(
        SmallInteger, ForeignKey("zone.id"), primary_key=True, autoincrement=False
    )
    at: Mapped[time] = mapped_column(primary_key=True)
    wave: Mapped[int] = mapped_column(SmallInteger)


class Slot(Model):
    """When a list's edition goes out on some weekdays; no weekday of a list is in two slots."""

    __tablename__ = "slot"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), index=True)
    weekdays: Mapped[int] = mapped_column(SmallInteger)
    """A bit for each, Monday's is 1."""
    at: Mapped[time]
    zone: Mapped[str | None] = mapped_column(String(64))
    """None: each reader's own."""
    deadline_minutes: Mapped[int]
    """After `at`: nobody is mailed later."""
    ready_minutes: Mapped[int]
    """Before `at`: by then an edition is to be approved."""
    alarm_minutes: Mapped[int]
    """Before that: a first alarm when none is."""
    created_at: Mapped[datetime]


class SlotHoliday(Model):
    """A day on which the slot is not used."""

    __tablename__ = "slot_holiday"

    slot_id: Mapped[int] = mapped_column(
        ForeignKey("slot.id", ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(primary_key=True)


class AlarmKind(StrEnum):
    UNREADY_SOON = "unready soon"
    UNREADY = "unready"


class Alarm(Model):
    """Something about a slot that the desk was told of, once."""

    __tablename__ = "alarm"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[AlarmKind]
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    slot_date: Mapped[date]
    at: Mapped[datetime]
    text: Mapped[str] = mapped_column(String(500))

    __table_args__ = (UniqueConstraint("kind", "list_id", "slot_date"),)


class Dispatch(Model):
    """Somebody sent an edition on its way, at once or for later; taken back, the row is deleted.

    What a role may begin to mail in an hour is counted in these (S-31).
    """

    __tablename__ = "dispatch"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    role: Mapped[Role]
    """The one that let them."""
    people: Mapped[int]
    """To whom it went as they were counted at the approval."""
    at: Mapped[datetime]

    __table_args__ = (Index(None, "role", "at"),)

"""`newsletter slot`: the weekdays and times at which a list's editions go out."""

from datetime import datetime, time, timedelta

import click
from sqlalchemy import select

from newsletter.audience.lists import list_by_slug
from newsletter.cli.times import DAY, LENGTH, TIME_OF_DAY
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import MailingList, Slot, SlotHoliday
from newsletter.plan.slots import (
    NewSlot,
    fill_slot,
    read_weekdays,
    remove_slot,
    set_slot,
    weekday_names,
)

OWN_ZONE = "subscriber"


@click.group()
def command() -> None:
    """Say on which weekdays, and when, a list's editions go out."""


@command.command("set")
@click.argument("slug")
@click.option("--days", required=True, help="mon-fri, sat,sun or daily.")
@click.option("--at", required=True, type=TIME_OF_DAY, help="Like 07:00.")
@click.option("--zone", default=OWN_ZONE, show_default=True, help="Or one like Europe/Berlin.")
@click.option(
    "--deadline", type=LENGTH, default="4h", show_default=True, help="How late it may be."
)
@click.option(
    "--ready", type=LENGTH, default="1h", show_default=True, help="Approved so long before."
)
@click.option(
    "--alarm", type=LENGTH, default="15m", show_default=True, help="First alarm, before that."
)
@click.option("--holiday", "holidays", multiple=True, type=DAY, help="A day without; repeatable.")
def set_(
    *,
    slug: str,
    days: str,
    at: time,
    zone: str,
    deadline: timedelta,
    ready: timedelta,
    alarm: timedelta,
    holidays: tuple[datetime, ...],
) -> None:
    """Give weekdays of the list SLUG a slot, in place of the one they had."""
    new = NewSlot(
        weekdays=read_weekdays(days),
        at=at,
        zone=None if zone == OWN_ZONE else zone,
        deadline=deadline,
        ready=ready,
        alarm=alarm,
        holidays=frozenset(day.date() for day in holidays),
    )
    with transaction() as session:
        slot = set_slot(session, list_by_slug(session, slug).id, new, now=utc_now())
    click.echo(f"Slot {slot.id}: {_described(slug, slot)}")


@command.command("list")
def list_() -> None:
    """Show all slots."""
    with reading() as session:
        slots = session.execute(
            select(Slot, MailingList.slug)
            .join(MailingList, MailingList.id == Slot.list_id)
            .order_by(MailingList.slug, Slot.id)
        ).all()
        holidays = session.scalars(select(SlotHoliday).order_by(SlotHoliday.day)).all()
    for slot, slug in slots:
        without = ", ".join(str(each.day) for each in holidays if each.slot_id == slot.id)
        click.echo(f"{slot.id}: {_described(slug, slot)}{without and f', not on {without}'}")
    if not slots:
        click.echo("There is no slot yet; make one with: newsletter slot set")


@command.command()
@click.argument("slot_id", type=int)
def remove(slot_id: int) -> None:
    """Remove a slot; editions that are scheduled for it stay scheduled."""
    with transaction() as session:
        remove_slot(session, slot_id)
    click.echo(f"Slot {slot_id} is removed.")


@command.command()
@click.argument("slug")
@click.argument("day", type=DAY)
@click.argument("edition_id", type=int)
def fill(slug: str, day: datetime, edition_id: int) -> None:
    """Make an edition the one of a DAY's slot; it is scheduled as soon as it is approved."""
    with transaction() as session:
        is_scheduled = fill_slot(
            session, list_by_slug(session, slug), day.date(), edition_id, now=utc_now()
        )
    state = "is scheduled" if is_scheduled else "is scheduled when it is approved in time"
    click.echo(f"Edition {edition_id} fills the slot of {day:%Y-%m-%d} and {state}.")


def _described(slug: str, slot: Slot) -> str:
    zone = slot.zone or "each reader's own zone"
    return (
        f"{slug} {weekday_names(slot.weekdays)} {slot.at:%H:%M} in {zone}, at most"
        f" {slot.deadline_minutes} minutes late; to be approved {slot.ready_minutes} minutes"
        f" before, first alarm {slot.alarm_minutes} minutes before that"
    )

"""The lists of the newsroom that is made up, and how often each has an edition."""

from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy.orm import Session

from newsletter.audience.lists import NewList, create_list
from newsletter.audience.sections import add_section
from newsletter.models import MailingList, Tracking
from newsletter.plan.slots import NewSlot, read_weekdays, set_slot


@dataclass(frozen=True, slots=True)
class SeedList:
    new: NewList
    share: int
    """Of a hundred subscribers."""
    days: str
    at: time
    is_local: bool


SENDER = "desk@harbour-press.example"
SECTIONS = ("Port", "Town", "World")
ADDRESS = "Harbour Press, 1 Quay Street, Port Harbour"

LISTS = (
    SeedList(
        NewList(
            slug="morning",
            name="The Harbour Morning",
            tagline="What the day brings",
            sender_name="The Harbour Morning",
            sender_address=SENDER,
            postal_address=ADDRESS,
            zone="Europe/Berlin",
            is_public=True,
        ),
        share=100,
        days="mon-sat",
        at=time(7),
        is_local=True,
    ),
    SeedList(
        NewList(
            slug="business",
            name="Harbour Business",
            tagline="Trade, freight and work",
            sender_name="Harbour Business",
            sender_address=SENDER,
            postal_address=ADDRESS,
            zone="Europe/London",
            accent="#0f6b4f",
            is_public=True,
        ),
        share=30,
        days="mon-fri",
        at=time(6, 30),
        is_local=False,
    ),
    SeedList(
        NewList(
            slug="evening",
            name="The Harbour Evening",
            sender_name="The Harbour Evening",
            sender_address=SENDER,
            postal_address=ADDRESS,
            zone="America/New_York",
            accent="#7a3e9d",
        ),
        share=15,
        days="mon-fri",
        at=time(18),
        is_local=False,
    ),
    SeedList(
        NewList(
            slug="science",
            name="Harbour Science",
            sender_name="Harbour Science",
            sender_address=SENDER,
            postal_address=ADDRESS,
            zone="Asia/Singapore",
            accent="#b3541e",
            tracking=Tracking.ANONYMOUS,
        ),
        share=5,
        days="wed",
        at=time(9),
        is_local=False,
    ),
)


def make_lists(session: Session, *, now: datetime) -> list[MailingList]:
    return [_make(session, each, now) for each in LISTS]


def _make(session: Session, seed: SeedList, now: datetime) -> MailingList:
    mailing_list = create_list(session, seed.new, now=now)
    for name in SECTIONS:
        add_section(session, mailing_list, name.lower(), name=name)
    slot = NewSlot(
        read_weekdays(seed.days), seed.at, zone=None if seed.is_local else mailing_list.zone
    )
    set_slot(session, mailing_list.id, slot, now=now)
    return mailing_list

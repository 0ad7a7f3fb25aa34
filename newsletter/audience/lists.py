"""Lists: makes, changes and retires them, and finds one by its slug."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.colours import MUTED, READABLE, contrast, is_colour
from newsletter.audience.fields import (
    read_key,
    read_language,
    read_line,
    read_time,
    read_zone,
    refuse,
)
from newsletter.db import insert_or_ignore
from newsletter.errors import AddressError, NotFoundError, StateError
from newsletter.models import (
    BACKDROP,
    Archive,
    Font,
    ListFigures,
    MailingList,
    OnUncertain,
    OptIn,
    Tracking,
)
from newsletter.words import Words

MOST_FOOTER_LINES = 6
LONGEST_FOOTER = 500
LONGEST_COOL_OFF = 3_600
MOST_A_DAY = 99
_MEDIA = re.compile(r"[A-Za-z0-9_-]+\.(?:png|jpg|jpeg|gif|webp)", re.ASCII)


@dataclass(frozen=True, slots=True)
class NewList:
    slug: str
    """Stays for good: it is part of the List-Id (RFC 2919)."""
    name: str
    sender_name: str
    sender_address: str
    postal_address: str
    tagline: str = ""
    description: str = ""
    accent: str = "#0b57d0"
    language: str = "en"
    zone: str = "UTC"
    reply_to: str | None = None
    opt_in: OptIn = OptIn.DOUBLE
    is_public: bool = False
    send_time: str | None = None
    tracking: Tracking = Tracking.FULL
    on_uncertain: OnUncertain = OnUncertain.HOLD
    archive: Archive = Archive.UNLISTED
    backdrop: str = BACKDROP
    heading_font: Font = Font.GEORGIA
    text_font: Font = Font.SYSTEM
    footer: str = ""
    four_eyes: bool | None = None
    cool_off_seconds: int | None = None
    most_a_day: int | None = None


class ListChanges(TypedDict, total=False):
    """As in `NewList`; an empty `reply_to` or `send_time`, and 0 for `most_a_day`, mean none."""

    name: str
    sender_name: str
    sender_address: str
    postal_address: str
    tagline: str
    description: str
    accent: str
    language: str
    zone: str
    reply_to: str | None
    opt_in: OptIn
    is_public: bool
    send_time: str | None
    tracking: Tracking
    on_uncertain: OnUncertain
    archive: Archive
    backdrop: str
    heading_font: Font
    text_font: Font
    footer: str
    most_a_day: int | None
    four_eyes: bool | None
    cool_off_seconds: int | None


def create_list(session: Session, new: NewList, *, now: datetime) -> MailingList:
    """Raises `InputError`, which names the field and what to write there instead."""
    made: MailingList | None = session.scalar(
        insert_or_ignore(session, MailingList)
        .values(**read_list_fields(asdict(new)), created_at=now)
        .returning(MailingList)
    )
    if made is None:
        refuse("slug", "there is a list called {slug} already; choose another one", slug=new.slug)
    return made


def edit_list(session: Session, slug: str, changes: ListChanges) -> MailingList:
    """Change what `changes` names. What is approved already goes out as it was approved.

    Raises `InputError`, which names the field, and `NotFoundError`; then nothing has changed.
    """
    values = read_list_fields(changes)
    mailing_list = _locked(session, slug)
    for field, value in values.items():
        setattr(mailing_list, field, value)
    session.flush()
    return mailing_list


def retire_list(session: Session, slug: str, *, now: datetime) -> MailingList:
    """No new subscriptions and no new editions; its people may still leave, its links still work."""
    mailing_list = _locked(session, slug)
    if mailing_list.retired_at is None:
        mailing_list.retired_at = now
        session.flush()
    return mailing_list


def set_logo(
    session: Session, slug: str, file: str | None, *, width: int = 0, height: int = 0
) -> MailingList:
    """Let a picture below /media/ stand where the name does; None: the name again. Raises `InputError`."""
    if file is not None and (not _MEDIA.fullmatch(file) or width < 1 or height < 1):
        refuse("logo", "choose a picture that was uploaded here")
    mailing_list = _locked(session, slug)
    mailing_list.logo = file
    mailing_list.logo_width = width if file else None
    mailing_list.logo_height = height if file else None
    session.flush()
    return mailing_list


def list_by_slug(session: Session, slug: str) -> MailingList:
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if found is not None:
        return found
    known = ", ".join(session.scalars(select(MailingList.slug).order_by(MailingList.slug)))
    hint = (
        Words("there are: {known}", known=known)
        if known
        else Words("make one with: newsletter list create")
    )
    raise NotFoundError("there is no list called {slug!r}; {hint}", slug=slug, hint=hint)


def all_lists(session: Session) -> list[MailingList]:
    return list(session.scalars(select(MailingList).order_by(MailingList.slug)))


def sizes_of_lists(session: Session) -> dict[int, ListFigures]:
    """By the number of each list that anybody was ever on."""
    return {figures.list_id: figures for figures in session.scalars(select(ListFigures))}


def refuse_retired(mailing_list: MailingList) -> None:
    """Raises `StateError` for a list that takes nothing new any more."""
    if mailing_list.retired_at is not None:
        raise StateError(
            "The list {slug} was retired on {day:%Y-%m-%d}: it takes no new people and "
            "no new editions.",
            slug=mailing_list.slug,
            day=mailing_list.retired_at,
        )


def _locked(session: Session, slug: str) -> MailingList:
    mailing_list = list_by_slug(session, slug)
    # The weaker lock: subscriptions that point to the list may be inserted meanwhile.
    session.refresh(mailing_list, with_for_update={"key_share": True})
    return mailing_list


def read_list_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as a list keeps them. Raises `InputError`, which names the field."""
    return {
        field: _READERS[field](value) if field in _READERS else value
        for field, value in values.items()
    }


def _colour(field: str, text: str) -> str:
    colour = text.strip().lower()
    if not is_colour(colour):
        refuse(field, "write a colour as # and six hexadecimal digits, like #0b57d0")
    return colour


def _backdrop(text: str) -> str:
    colour = _colour("backdrop", text)
    if contrast(colour, MUTED) < READABLE:
        refuse(
            "backdrop", "the grey text of the foot cannot be read on it; choose a lighter colour"
        )
    return colour


def _cool_off(seconds: int | None) -> int | None:
    if seconds is not None and not 0 <= seconds <= LONGEST_COOL_OFF:
        refuse("cool-off seconds", "write a number from 0 to {longest}", longest=LONGEST_COOL_OFF)
    return seconds


def _most_a_day(number: int | None) -> int | None:
    if number is not None and not 0 <= number <= MOST_A_DAY:
        refuse("most a day", "write a number from 1 to {most}, or 0 for no limit", most=MOST_A_DAY)
    return number or None


def _footer(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > MOST_FOOTER_LINES:
        refuse(
            "footer",
            "it has {count} lines; write at most {most}",
            count=len(lines),
            most=MOST_FOOTER_LINES,
        )
    read = "\n".join(read_line("footer", line, longest=LONGEST_FOOTER) for line in lines)
    if len(read) > LONGEST_FOOTER:
        refuse(
            "footer",
            "it has {count} characters; write at most {longest}",
            count=len(read),
            longest=LONGEST_FOOTER,
        )
    return read


def _address(field: str, text: str) -> str:
    try:
        address = parse_address(text)
    except AddressError as error:
        refuse(field, "{error} Write a bare address like news@example.org", error=error)
    if address.needs_smtputf8:
        refuse(field, "write plain ASCII before the @, or many servers refuse the mail")
    return str(address)


# How each field is read; the others are of a type that holds nothing wrong.
_READERS: Mapping[str, Callable[[Any], object]] = {
    "slug": partial(read_key, "slug"),
    "name": partial(read_line, "name", longest=120),
    "tagline": partial(read_line, "tagline", longest=200, may_be_empty=True),
    "description": partial(read_line, "description", longest=1000, may_be_empty=True),
    "accent": partial(_colour, "accent"),
    "backdrop": _backdrop,
    "footer": _footer,
    "cool_off_seconds": _cool_off,
    "most_a_day": _most_a_day,
    "language": partial(read_language, "language"),
    "zone": partial(read_zone, "zone"),
    "sender_name": partial(read_line, "sender name", longest=120),
    "sender_address": partial(_address, "sender address"),
    "reply_to": lambda text: _address("reply-to", text) if text else None,
    "postal_address": partial(read_line, "postal address", longest=500),
    "send_time": lambda text: read_time("send time", text) if text else None,
}

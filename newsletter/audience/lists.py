"""Lists: makes one from what an admin typed, and finds one by its slug."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.fields import CONTROL_CHARACTER, find_language
from newsletter.audience.zones import find_zone
from newsletter.db import insert_or_ignore
from newsletter.errors import AddressError, InputError, NotFoundError
from newsletter.models import MailingList

# A slug is a label of the List-Id (RFC 2919), so it has the shape of one.
_SLUG = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*")
_ACCENT = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class NewList:
    slug: str
    name: str
    sender_name: str
    sender_address: str
    postal_address: str
    tagline: str = ""
    accent: str = "#0b57d0"
    language: str = "en"
    zone: str = "UTC"
    reply_to: str | None = None


def create_list(session: Session, new: NewList, *, now: datetime) -> MailingList:
    """Raises `InputError`, which names the field and what to write there instead."""
    values = {
        "slug": _slug(new.slug),
        "name": _line("name", new.name, longest=120),
        "tagline": _line("tagline", new.tagline, longest=200, may_be_empty=True),
        "accent": _accent(new.accent),
        "language": _language(new.language),
        "zone": _zone(new.zone),
        "sender_name": _line("sender name", new.sender_name, longest=120),
        "sender_address": _address("sender address", new.sender_address),
        "reply_to": _address("reply-to", new.reply_to) if new.reply_to else None,
        "postal_address": _line("postal address", new.postal_address, longest=500),
        "created_at": now,
    }
    made: MailingList | None = session.scalar(
        insert_or_ignore(session, MailingList).values(values).returning(MailingList)
    )
    if made is None:
        _refuse("slug", f"there is a list called {new.slug} already; choose another one")
    return made


def list_by_slug(session: Session, slug: str) -> MailingList:
    found = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if found is not None:
        return found
    known = ", ".join(session.scalars(select(MailingList.slug).order_by(MailingList.slug)))
    hint = f"there are: {known}" if known else "make one with: newsletter list create"
    message = f"there is no list called {slug!r}; {hint}"
    raise NotFoundError(message)


def all_lists(session: Session) -> list[MailingList]:
    return list(session.scalars(select(MailingList).order_by(MailingList.slug)))


def _slug(text: str) -> str:
    if len(text) > 63 or not _SLUG.fullmatch(text):
        _refuse("slug", "write 1 to 63 of a-z, 0-9 and - between them, like morning-briefing")
    return text


def _line(field: str, text: str, *, longest: int, may_be_empty: bool = False) -> str:
    if CONTROL_CHARACTER.search(text):
        _refuse(field, "write it on one line, without line breaks or control characters")
    text = " ".join(text.split())
    if not text and not may_be_empty:
        _refuse(field, "it must not be empty")
    if len(text) > longest:
        _refuse(field, f"it has {len(text)} characters; write at most {longest}")
    return text


def _accent(text: str) -> str:
    colour = text.strip().lower()
    if not _ACCENT.fullmatch(colour):
        _refuse("accent", "write a colour as # and six hexadecimal digits, like #0b57d0")
    return colour


def _language(text: str) -> str:
    tag = find_language(text)
    if tag is None:
        _refuse("language", "write a language tag like en, zh or pt-BR")
    return tag


def _zone(text: str) -> str:
    zone = find_zone(text.strip())
    if zone is None:
        _refuse("zone", "write an IANA time zone like Europe/Berlin or Asia/Shanghai")
    return zone


def _address(field: str, text: str) -> str:
    try:
        address = parse_address(text)
    except AddressError as error:
        _refuse(field, f"{error} Write a bare address like news@example.org")
    if address.needs_smtputf8:
        _refuse(field, "write plain ASCII before the @, or many servers refuse the mail")
    return str(address)


def _refuse(field: str, advice: str) -> NoReturn:
    message = f"{field}: {advice}"
    raise InputError(message)

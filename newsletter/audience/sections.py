"""Sections of a list: which there are, what headings mean them, and who hides which."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NoReturn, TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.fields import read_key, read_line, refuse
from newsletter.audience.history import Origin, record_changes
from newsletter.db import locked
from newsletter.errors import InputError, NotFoundError
from newsletter.models import MOST_SECTIONS, ListSection, MailingList, Subscription
from newsletter.words import Words

LONGEST_SECTION_NAME = 120
MOST_ALIASES = 50


class SectionChanges(TypedDict, total=False):
    name: str
    aliases: Sequence[str]
    """All of them: those that are left out are gone."""
    is_pinned: bool
    position: int
    """From 1; the sections behind it move down."""


def sections_of(session: Session, list_id: int) -> list[ListSection]:
    """Those that are in use, in the order of the preferences page."""
    return [section for section in _all(session, list_id) if section.retired_at is None]


def section_of(heading: str, sections: Iterable[ListSection]) -> ListSection | None:
    """The section that a briefing's heading means, whatever its case, width and blanks.

    None: the list has no such section, so that nobody can hide what stands under the heading.
    """
    wanted = _folded(heading)
    for section in sections:
        if wanted in _headings(section):
            return section
    return None


def add_section(
    session: Session,
    mailing_list: MailingList,
    key: str,
    *,
    name: str,
    aliases: Sequence[str] = (),
    is_pinned: bool = False,
) -> ListSection:
    """A section behind the others. Raises `InputError`."""
    _lock(session, mailing_list)
    ever = _all(session, mailing_list.id)
    if len(ever) == MOST_SECTIONS:
        refuse(
            "section",
            "a list has at most {most} in its life, and this one had them",
            most=MOST_SECTIONS,
        )
    if any(section.key == key for section in ever):
        refuse("key", "there is or was a section called {key} already; choose another key", key=key)
    section = ListSection(
        list_id=mailing_list.id,
        bit=max((section.bit for section in ever), default=-1) + 1,
        key=read_key("key", key),
        name=read_line("name", name, longest=LONGEST_SECTION_NAME),
        aliases=_read_aliases(aliases),
        is_pinned=is_pinned,
        position=max((section.position for section in ever), default=0) + 1,
    )
    _refuse_shared_headings(section, ever)
    session.add(section)
    session.flush()
    return section


def edit_section(
    session: Session, mailing_list: MailingList, key: str, changes: SectionChanges
) -> ListSection:
    """Raises `InputError` and `NotFoundError`."""
    _lock(session, mailing_list)
    sections = sections_of(session, mailing_list.id)
    section = _by_key(sections, key)
    if "name" in changes:
        section.name = read_line("name", changes["name"], longest=LONGEST_SECTION_NAME)
    if "aliases" in changes:
        section.aliases = _read_aliases(changes["aliases"])
    if "is_pinned" in changes:
        section.is_pinned = changes["is_pinned"]
    if "position" in changes:
        _move(section, sections, changes["position"])
    _refuse_shared_headings(section, sections)
    session.flush()
    return section


def retire_section(
    session: Session, mailing_list: MailingList, key: str, *, now: datetime
) -> ListSection:
    """From now on its headings are like any other and everybody gets them. Its bit stays taken."""
    _lock(session, mailing_list)
    section = _by_key(sections_of(session, mailing_list.id), key)
    section.retired_at = now
    session.flush()
    return section


def set_hidden_sections(
    session: Session,
    mailing_list: MailingList,
    subscriber_id: int,
    keys: Collection[str],
    *,
    origin: Origin,
    now: datetime,
) -> Subscription:
    """Hide these sections of the list from this reader and show all others.

    Raises `InputError` for a key that is no section's or a pinned one's.
    """
    subscription = locked(session, Subscription, (mailing_list.id, subscriber_id))
    if subscription is None:
        raise NotFoundError(
            "Subscriber {number} is not on the list {slug}.",
            number=subscriber_id,
            slug=mailing_list.slug,
        )
    sections = sections_of(session, mailing_list.id)
    wanted = [_by_key(sections, key) for key in sorted(set(keys))]
    for section in wanted:
        if section.is_pinned:
            refuse("sections", "{key} is in everybody's mail and cannot be hidden", key=section.key)
    field = f"sections of {mailing_list.slug}"
    before = _written(hidden_among(sections, subscription.hidden_sections))
    subscription.hidden_sections = sum(1 << section.bit for section in wanted)
    after = _written(hidden_among(sections, subscription.hidden_sections))
    record_changes(
        session,
        subscriber_id,
        {field: before} if before else {},
        {field: after} if after else {},
        origin=origin,
        now=now,
    )
    session.flush()
    return subscription


def hidden_among(sections: Iterable[ListSection], mask: int) -> list[ListSection]:
    """Those that the bits of `subscription.hidden_sections` hide; a pinned one is never hidden."""
    return [section for section in sections if mask >> section.bit & 1 and not section.is_pinned]


def _all(session: Session, list_id: int) -> Sequence[ListSection]:
    return session.scalars(
        select(ListSection)
        .where(ListSection.list_id == list_id)
        .order_by(ListSection.position, ListSection.bit)
    ).all()


def _lock(session: Session, mailing_list: MailingList) -> None:
    """Two changes of one list's sections take turns, so that no bit and no heading is given twice."""
    session.refresh(mailing_list, with_for_update={"key_share": True})


def _by_key(sections: Iterable[ListSection], key: str) -> ListSection:
    for section in sections:
        if section.key == key:
            return section
    return _refuse_unknown(sections, key)


def _refuse_unknown(sections: Iterable[ListSection], key: str) -> NoReturn:
    known = ", ".join(section.key for section in sections)
    hint = (
        Words("there are: {known}", known=known)
        if known
        else Words("make one with: newsletter list section add")
    )
    raise InputError("there is none called {key!r}; {hint}", field="sections", key=key, hint=hint)


def _read_aliases(aliases: Sequence[str]) -> list[str]:
    if len(aliases) > MOST_ALIASES:
        refuse("aliases", "write at most {most}", most=MOST_ALIASES)
    return [read_line("aliases", alias, longest=LONGEST_SECTION_NAME) for alias in aliases]


def _refuse_shared_headings(section: ListSection, sections: Iterable[ListSection]) -> None:
    for other in sections:
        if other.key == section.key or other.retired_at is not None:
            continue
        shared = _headings(section) & _headings(other)
        if shared:
            refuse(
                "name",
                "{shared!r} means the section {key} already",
                shared=min(shared),
                key=other.key,
            )


def _move(section: ListSection, sections: list[ListSection], position: int) -> None:
    others = [other for other in sections if other is not section]
    others.insert(max(0, position - 1), section)
    for place, each in enumerate(others, start=1):
        each.position = place


def _headings(section: ListSection) -> set[str]:
    return {_folded(text) for text in (section.name, *section.aliases)}


def _folded(text: str) -> str:
    # NFKC: full-width letters are the same letters.
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _written(sections: Iterable[ListSection]) -> str:
    return ", ".join(f"without {section.key}" for section in sections)

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.consent import subscribe
from newsletter.audience.sections import (
    add_section,
    edit_section,
    hidden_among,
    retire_section,
    section_of,
    sections_of,
    set_hidden_sections,
)
from newsletter.errors import InputError, NotFoundError
from newsletter.models import (
    ListSection,
    MailingList,
    Subscriber,
    SubscriberChange,
    SubscriptionStatus,
)
from tests.audience.people import EDITOR, NOW, READER, a_list, ada

on_one_store = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture
def daily(session: Session) -> MailingList:
    daily = a_list(session)
    add_section(session, daily, "port", name="Port", aliases=["Harbour News"])
    add_section(session, daily, "sport", name="Sport")
    add_section(session, daily, "notices", name="Notices", is_pinned=True)
    return daily


@pytest.fixture
def reader(session: Session, daily: MailingList) -> Subscriber:
    person = ada(session)
    confirmed = SubscriptionStatus.CONFIRMED
    subscribe(session, person, daily, confirmed, origin=EDITOR, evidence={}, now=NOW)
    return person


def keys(session: Session, mailing_list: MailingList) -> list[str]:
    return [section.key for section in sections_of(session, mailing_list.id)]


@on_one_store
@pytest.mark.parametrize(
    ("heading", "key"),
    [
        ("Port", "port"),
        ("  PORT ", "port"),
        ("harbour\u00a0 news", "port"),
        ("Ｐｏｒｔ", "port"),
        ("Sport", "sport"),
        ("Ports", None),
        ("", None),
    ],
)
def test_a_heading_means_the_section_that_has_it_as_name_or_alias(
    session: Session, daily: MailingList, heading: str, key: str | None
) -> None:
    found = section_of(heading, sections_of(session, daily.id))

    assert (found.key if found else None) == key


def test_a_heading_means_one_section_only(session: Session, daily: MailingList) -> None:
    with pytest.raises(InputError, match="'harbour news' means the section port already"):
        add_section(session, daily, "harbour", name="HARBOUR  News")
    with pytest.raises(InputError, match="'sport' means the section sport already"):
        edit_section(session, daily, "port", {"aliases": ["sport"]})


def test_another_list_may_have_the_same_headings(session: Session, daily: MailingList) -> None:
    weekly = a_list(session, "weekly")

    add_section(session, weekly, "port", name="Port")

    assert keys(session, weekly) == ["port"]


def test_a_retired_sections_bit_and_key_are_never_given_again(
    session: Session, daily: MailingList
) -> None:
    retire_section(session, daily, "notices", now=NOW)

    added = add_section(session, daily, "notes", name="Notices")

    assert added.bit == 3
    assert keys(session, daily) == ["port", "sport", "notes"]
    with pytest.raises(InputError, match="key: there is or was a section called notices"):
        add_section(session, daily, "notices", name="Something else")


def test_a_list_has_63_sections_in_its_life(session: Session) -> None:
    daily = a_list(session)
    for number in range(63):
        add_section(session, daily, f"s{number}", name=f"Section {number}")
        retire_section(session, daily, f"s{number}", now=NOW)

    with pytest.raises(InputError, match="at most 63"):
        add_section(session, daily, "one-more", name="One more")

    bits = session.scalars(select(ListSection.bit)).all()
    assert sorted(bits) == list(range(63))


def test_a_section_is_renamed_moved_and_pinned(session: Session, daily: MailingList) -> None:
    edited = edit_section(
        session, daily, "sport", {"name": "Games", "position": 1, "is_pinned": True}
    )

    assert (edited.name, edited.is_pinned) == ("Games", True)
    assert keys(session, daily) == ["sport", "port", "notices"]


@on_one_store
@pytest.mark.parametrize(
    ("key", "name", "place"),
    [("Bad Key", "Fine", "key"), ("fine", "", "name"), ("fine", "a\r\nb", "name")],
)
def test_a_section_field_that_cannot_stand_is_refused_by_its_name(
    session: Session, daily: MailingList, key: str, name: str, place: str
) -> None:
    with pytest.raises(InputError, match=f"^{place}: "):
        add_section(session, daily, key, name=name)


def test_a_reader_hides_sections_and_shows_them_again(
    session: Session, daily: MailingList, reader: Subscriber
) -> None:
    hidden = set_hidden_sections(
        session, daily, reader.id, ["sport", "port"], origin=READER, now=NOW
    )
    first = hidden.hidden_sections
    shown = set_hidden_sections(session, daily, reader.id, [], origin=READER, now=NOW)

    assert first == 0b011
    assert shown.hidden_sections == 0


def test_hiding_is_written_into_the_persons_history(
    session: Session, daily: MailingList, reader: Subscriber
) -> None:
    set_hidden_sections(session, daily, reader.id, ["sport"], origin=READER, now=NOW)

    change = session.scalars(
        select(SubscriberChange).where(SubscriberChange.field == "sections of daily")
    ).one()
    assert (change.before, change.after) == (None, "without sport")


def test_a_pinned_section_cannot_be_hidden(
    session: Session, daily: MailingList, reader: Subscriber
) -> None:
    with pytest.raises(InputError, match="notices is in everybody's mail"):
        set_hidden_sections(session, daily, reader.id, ["notices"], origin=READER, now=NOW)


def test_a_section_that_is_pinned_later_is_shown_to_who_hid_it(
    session: Session, daily: MailingList, reader: Subscriber
) -> None:
    set_hidden_sections(session, daily, reader.id, ["sport"], origin=READER, now=NOW)

    edit_section(session, daily, "sport", {"is_pinned": True})

    assert hidden_among(sections_of(session, daily.id), 0b010) == []


def test_only_sections_of_the_list_and_people_on_it_are_taken(
    session: Session, daily: MailingList, reader: Subscriber
) -> None:
    with pytest.raises(InputError, match="none called 'weather'; there are: port, sport, notices"):
        set_hidden_sections(session, daily, reader.id, ["weather"], origin=READER, now=NOW)
    with pytest.raises(NotFoundError, match="not on the list daily"):
        set_hidden_sections(session, daily, reader.id + 1, [], origin=READER, now=NOW)

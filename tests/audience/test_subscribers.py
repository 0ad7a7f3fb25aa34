from concurrent.futures import ThreadPoolExecutor
from datetime import date, time
from threading import Barrier
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, parse_address
from newsletter.audience.attributes import add_attribute
from newsletter.audience.consent import subscribe
from newsletter.audience.detail import subscriber_detail
from newsletter.audience.fields import CONTROL_CHARACTER, read_line
from newsletter.audience.history import changes_of
from newsletter.audience.sections import add_section, set_hidden_sections
from newsletter.audience.subscribers import (
    SubscriberChanges,
    add_subscriber,
    edit_subscriber,
    find_subscriber,
    list_subscribers,
)
from newsletter.audience.suppression import suppress
from newsletter.audience.tags import set_tags, tags_of
from newsletter.db import reading, transaction
from newsletter.errors import AddressError, InputError, NotFoundError
from newsletter.models import (
    AttributeKind,
    ChangeCause,
    Domain,
    Subscriber,
    SubscriberChange,
    SubscriptionStatus,
    SuppressionReason,
)
from tests.audience.people import EDITOR, NOW, READER, a_list, ada

on_one_store = pytest.mark.parametrize("store", ["sqlite"])
FULL: SubscriberChanges = {
    "name": "  Zoe\u0308   Quill ",
    "language": "pt_BR",
    "zone": "europe/berlin",
    "delivery_time": "7:30",
    "break_until": "2026-12-24",
}


def history(session: Session, person: Subscriber) -> dict[str, tuple[str | None, str | None]]:
    """The newest change of each field."""
    return {
        change.field: (change.before, change.after) for change in changes_of(session, person.id)
    }


def test_a_person_is_added_with_every_field_in_its_normal_form(session: Session) -> None:
    person = add_subscriber(session, "Zoe@BÜCHER.example", FULL, origin=EDITOR, now=NOW)

    assert person.address == "Zoe@xn--bcher-kva.example"
    assert person.address_hash == address_hash(parse_address("zoe@bücher.example"))
    assert session.get_one(Domain, person.domain_id).name == "xn--bcher-kva.example"
    assert person.name == "Zoë Quill"
    assert person.language == "pt-BR"
    assert (person.delivery_time, person.break_until) == (time(7, 30), date(2026, 12, 24))
    assert person.created_at == NOW
    assert subscriber_detail(session, person.id).fields["zone"] == "Europe/Berlin"


def test_what_a_person_began_with_is_in_their_history(session: Session) -> None:
    person = ada(session)

    assert history(session, person) == {
        "address": (None, "Ada@readers.example"),
        "name": (None, "Ada"),
    }


def test_an_address_belongs_to_one_person_in_whatever_spelling(session: Session) -> None:
    ada(session)

    with pytest.raises(InputError, match=r"address: .* is another subscriber's already"):
        add_subscriber(session, "ADA@Readers.example", {}, origin=EDITOR, now=NOW)

    assert len(session.scalars(select(Subscriber)).all()) == 1


@on_one_store
@pytest.mark.parametrize(
    ("field", "text", "place"),
    [
        ("address", "ada", "address"),
        ("address", "ada@localhost", "address"),
        ("name", "n" * 201, "name"),
        ("name", "Ada\r\nBcc: everyone@readers.example", "name"),
        ("name", "Ada\u2028", "name"),
        ("name", "Ada\x85", "name"),
        ("name", "Ada\x00", "name"),
        ("name", "Ada\udcff", "name"),
        ("language", "english please", "language"),
        ("zone", "Mars/Olympus_Mons", "zone"),
        ("zone", "../../etc/passwd", "zone"),
        ("delivery_time", "24:00", "delivery time"),
        ("delivery_time", "7 o'clock", "delivery time"),
        ("break_until", "2026-02-30", "break until"),
        ("break_until", "20260305", "break until"),
        ("break_until", "tomorrow", "break until"),
        ("attributes", {"team": "red"}, "attribute team"),
    ],
)
def test_s12_a_field_that_cannot_stand_is_refused_by_its_name_and_nothing_changes(
    session: Session, field: str, text: Any, place: str
) -> None:
    person = ada(session)
    changes: Any = {"name": "Ada Lovelace", field: text}

    with pytest.raises(InputError, match=f"^{place}: .{{10,}}"):
        edit_subscriber(session, person.id, changes, origin=EDITOR, now=NOW)

    session.expire_all()
    assert (person.name, person.address) == ("Ada", "Ada@readers.example")
    assert len(changes_of(session, person.id)) == 2


def test_a_change_is_kept_with_its_cause_and_nothing_else_moves(session: Session) -> None:
    person = add_subscriber(session, "zoe@readers.example", FULL, origin=EDITOR, now=NOW)

    edit_subscriber(session, person.id, {"zone": "Asia/Tokyo"}, origin=READER, now=NOW)

    *_, change = changes_of(session, person.id)
    assert (change.field, change.before, change.after) == ("zone", "Europe/Berlin", "Asia/Tokyo")
    assert (change.cause, change.by, change.at) == (ChangeCause.PREFERENCES, "reader", NOW)
    assert person.language == "pt-BR"


def test_an_edit_that_changes_nothing_leaves_no_trace(session: Session) -> None:
    person = ada(session)

    edit_subscriber(session, person.id, {"name": " Ada "}, origin=EDITOR, now=NOW)

    assert len(changes_of(session, person.id)) == 2


def test_an_empty_text_takes_a_value_away(session: Session) -> None:
    person = add_subscriber(session, "zoe@readers.example", FULL, origin=EDITOR, now=NOW)

    edit_subscriber(
        session,
        person.id,
        {"name": "", "language": "", "zone": "", "delivery_time": "", "break_until": ""},
        origin=READER,
        now=NOW,
    )

    assert subscriber_detail(session, person.id).fields == {"address": "zoe@readers.example"}


def test_a_new_address_keeps_number_lists_and_history(session: Session) -> None:
    person, daily = ada(session), a_list(session)
    confirmed = SubscriptionStatus.CONFIRMED
    subscribe(session, person, daily, confirmed, origin=EDITOR, evidence={}, now=NOW)

    edit_subscriber(session, person.id, {"address": "ada@post.example"}, origin=EDITOR, now=NOW)

    detail = subscriber_detail(session, person.id)
    assert find_subscriber(session, "ADA@post.example").id == person.id
    assert person.address_hash == address_hash(parse_address("ada@post.example"))
    assert session.get_one(Domain, person.domain_id).name == "post.example"
    assert [member.mailing_list.slug for member in detail.memberships] == ["daily"]
    assert history(session, person)["address"] == ("Ada@readers.example", "ada@post.example")
    with pytest.raises(NotFoundError):
        find_subscriber(session, "ada@readers.example")


def test_of_two_who_add_one_address_at_once_one_is_refused(engine: Engine) -> None:
    together = Barrier(2)

    def add(spelling: str) -> bool:
        together.wait(timeout=10)
        try:
            with transaction(engine) as session:
                add_subscriber(session, spelling, {}, origin=EDITOR, now=NOW)
        except InputError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        added = list(pool.map(add, ["ada@readers.example", "ADA@readers.example"]))

    assert sorted(added) == [False, True]
    with reading(engine) as session:
        assert len(session.scalars(select(Subscriber)).all()) == 1


def test_nobody_takes_another_persons_address(session: Session) -> None:
    person = ada(session)
    add_subscriber(session, "bo@readers.example", {}, origin=EDITOR, now=NOW)

    with pytest.raises(InputError, match="another subscriber's already"):
        edit_subscriber(
            session, person.id, {"address": "BO@readers.example"}, origin=EDITOR, now=NOW
        )

    session.expire_all()
    assert person.address == "Ada@readers.example"


@pytest.mark.parametrize(
    ("reason", "may_move"),
    [
        (SuppressionReason.COMPLAINED, False),
        (SuppressionReason.ON_REQUEST, False),
        (SuppressionReason.BOUNCED, True),
    ],
)
def test_b23_who_wants_no_mail_gets_none_at_another_address(
    session: Session, reason: SuppressionReason, may_move: bool
) -> None:
    person = ada(session)
    suppress(session, person.address_hash, reason=reason, source="mail", now=NOW)
    changes: SubscriberChanges = {"address": "ada@post.example"}

    if may_move:
        edit_subscriber(session, person.id, changes, origin=EDITOR, now=NOW)
    else:
        with pytest.raises(InputError, match="must not be mailed"):
            edit_subscriber(session, person.id, changes, origin=EDITOR, now=NOW)

    assert person.address == ("ada@post.example" if may_move else "Ada@readers.example")


def test_a_person_is_found_by_number_and_by_address(session: Session) -> None:
    person = ada(session)

    assert find_subscriber(session, str(person.id)) is person
    assert find_subscriber(session, "aDA@readers.example") is person


@pytest.mark.parametrize("who", ["999", "9" * 18, "nobody@readers.example"])
def test_who_is_not_there_is_an_error_that_shows_no_address(session: Session, who: str) -> None:
    with pytest.raises(NotFoundError) as refused:
        find_subscriber(session, who)

    assert "nobody@" not in str(refused.value)


def test_neither_number_nor_address_is_an_input_error(session: Session) -> None:
    with pytest.raises(AddressError, match=r"^address: "):
        find_subscriber(session, "9" * 30)


def test_people_are_listed_page_by_page_without_a_gap(session: Session) -> None:
    for number in range(7):
        add_subscriber(session, f"r{number}@readers.example", {}, origin=EDITOR, now=NOW)

    pages, after = [], 0
    while True:
        page = list_subscribers(session, after=after, limit=3)
        pages.append([person.address[:2] for person in page.people])
        if page.next_after is None:
            break
        after = page.next_after

    assert pages == [["r0", "r1", "r2"], ["r3", "r4", "r5"], ["r6"]]


def test_a_full_last_page_is_the_last(session: Session) -> None:
    for number in range(2):
        add_subscriber(session, f"r{number}@readers.example", {}, origin=EDITOR, now=NOW)

    assert list_subscribers(session, limit=2).next_after is None


def test_people_are_listed_by_list_status_and_tag(session: Session) -> None:
    daily, weekly = a_list(session), a_list(session, "weekly")
    people = [
        add_subscriber(session, f"r{number}@readers.example", {}, origin=EDITOR, now=NOW)
        for number in range(3)
    ]
    for person, mailing_list, status in (
        (people[0], daily, SubscriptionStatus.CONFIRMED),
        (people[1], daily, SubscriptionStatus.PENDING),
        (people[2], weekly, SubscriptionStatus.CONFIRMED),
    ):
        subscribe(session, person, mailing_list, status, origin=EDITOR, evidence={}, now=NOW)
    set_tags(session, people[1].id, ["VIP"], origin=EDITOR, now=NOW)

    def found(**conditions: Any) -> list[str]:
        return [person.address[:2] for person in list_subscribers(session, **conditions).people]

    assert found(list_id=daily.id) == ["r0", "r1"]
    assert found(list_id=daily.id, status=SubscriptionStatus.PENDING) == ["r1"]
    assert found(tag="vip") == found(tag="Vip", list_id=daily.id) == ["r1"]
    assert found(tag="vip", list_id=weekly.id) == found(tag="nobody's") == []


def test_the_detail_of_a_person_holds_all_that_is_known(session: Session) -> None:
    person, daily = ada(session), a_list(session)
    add_section(session, daily, "sport", name="Sport")
    add_attribute(session, "team", AttributeKind.TEXT, label="Team", now=NOW)
    confirmed = SubscriptionStatus.CONFIRMED
    subscribe(session, person, daily, confirmed, origin=READER, evidence={"form": "f1"}, now=NOW)
    edit_subscriber(session, person.id, {"attributes": {"team": "red"}}, origin=EDITOR, now=NOW)
    set_hidden_sections(session, daily, person.id, ["sport"], origin=READER, now=NOW)
    set_tags(session, person.id, ["vip"], origin=EDITOR, now=NOW)
    suppress(session, person.address_hash, reason=SuppressionReason.BOUNCED, source="dsn", now=NOW)

    detail = subscriber_detail(session, person.id)

    assert detail.fields["attribute team"] == "red"
    assert [section.key for section in detail.memberships[0].hidden] == ["sport"]
    assert detail.tags == ("vip",)
    [consent] = detail.consents
    assert consent.list_slug == "daily"
    assert consent.details == {"how": "preferences", "by": "reader", "form": "f1"}
    assert [change.field for change in detail.changes] == [
        *("address", "name", "attribute team", "sections of daily", "tags")
    ]
    assert [suppression.reason for suppression in detail.suppressions] == ["bounced"]


def test_an_erased_person_takes_tags_and_history_with_them(engine: Engine) -> None:
    with transaction(engine) as session:
        person = ada(session)
        set_tags(session, person.id, ["vip"], origin=EDITOR, now=NOW)

    with transaction(engine) as session:
        session.delete(session.get_one(Subscriber, person.id))

    with reading(engine) as session:
        assert session.scalars(select(SubscriberChange)).all() == []
        assert tags_of(session, person.id) == []


@given(st.text(max_size=250))
def test_s12_a_name_is_refused_or_becomes_one_line_that_stays_as_it_is(text: str) -> None:
    try:
        name = read_line("name", text, longest=200, may_be_empty=True)
    except InputError:
        return

    assert not CONTROL_CHARACTER.search(name)
    assert len(name) <= 200
    assert read_line("name", name, longest=200, may_be_empty=True) == name


@pytest.mark.parametrize("store", ["postgresql"])  # SQLite lets one write at a time from the start
def test_what_another_changed_after_the_person_was_read_stays(engine: Engine) -> None:
    with transaction(engine) as session:
        for key in ("team", "desk"):
            add_attribute(session, key, AttributeKind.TEXT, label=key, now=NOW)
        number = ada(session).id

    with transaction(engine) as late:
        seen = late.get_one(Subscriber, number)
        with transaction(engine) as other:
            team: SubscriberChanges = {"attributes": {"team": "red"}}
            edit_subscriber(other, number, team, origin=EDITOR, now=NOW)
        edit_subscriber(late, number, {"attributes": {"desk": "7"}}, origin=EDITOR, now=NOW)

    assert seen.attributes == {"team": "red", "desk": "7"}

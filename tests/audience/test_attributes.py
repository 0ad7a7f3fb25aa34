from typing import Any

import pytest
from sqlalchemy.orm import Session

from newsletter.audience.attributes import (
    add_attribute,
    all_attributes,
    read_value,
    retire_attribute,
    written,
)
from newsletter.audience.history import changes_of
from newsletter.audience.subscribers import edit_subscriber
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Attribute, AttributeKind
from tests.audience.people import EDITOR, NOW, READER, ada

on_one_store = pytest.mark.parametrize("store", ["sqlite"])


def of_kind(kind: AttributeKind, *choices: str) -> Attribute:
    return Attribute(key="a", label="A", kind=kind, choices=list(choices), created_at=NOW)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (AttributeKind.TEXT, "  two   words ", "two words"),
        (AttributeKind.NUMBER, "12", 12),
        (AttributeKind.NUMBER, " -3.5 ", -3.5),
        (AttributeKind.NUMBER, "3.0", 3),
        (AttributeKind.NUMBER, 7, 7),
        (AttributeKind.BOOLEAN, "Yes", True),
        (AttributeKind.BOOLEAN, "0", False),
        (AttributeKind.BOOLEAN, True, True),
        (AttributeKind.DATE, "2026-03-05", "2026-03-05"),
        (AttributeKind.CHOICE, " light  GREEN", "Light green"),
    ],
)
def test_a_value_is_kept_in_its_normal_form_and_read_back_the_same(
    kind: AttributeKind, text: object, value: object
) -> None:
    attribute = of_kind(kind, "Light green", "Red")

    kept = read_value(attribute, text)

    assert kept == value
    assert type(kept) is type(value)
    assert read_value(attribute, written(kept)) == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (AttributeKind.TEXT, "two\nlines"),
        (AttributeKind.TEXT, "t" * 501),
        (AttributeKind.TEXT, 5),
        (AttributeKind.NUMBER, "twelve"),
        (AttributeKind.NUMBER, "nan"),
        (AttributeKind.NUMBER, "inf"),
        (AttributeKind.NUMBER, "1e300"),
        (AttributeKind.NUMBER, 10**400),
        (AttributeKind.NUMBER, True),
        (AttributeKind.NUMBER, ["1"]),
        (AttributeKind.BOOLEAN, "perhaps"),
        (AttributeKind.BOOLEAN, 1),
        (AttributeKind.DATE, "5 March"),
        (AttributeKind.DATE, "2026-02-29"),
        (AttributeKind.CHOICE, "Blue"),
        (AttributeKind.CHOICE, {"red": 1}),
    ],
)
def test_a_value_of_another_kind_is_refused_by_the_attributes_name(
    kind: AttributeKind, value: object
) -> None:
    with pytest.raises(InputError, match=r"^attribute a: write|^attribute a: it has 501"):
        read_value(of_kind(kind, "Red"), value)


def test_an_attribute_of_a_person_is_set_changed_and_taken_away(session: Session) -> None:
    add_attribute(session, "member-since", AttributeKind.DATE, label="Member since", now=NOW)
    add_attribute(session, "paying", AttributeKind.BOOLEAN, label="Pays", now=NOW)
    person = ada(session)

    def edit(**attributes: Any) -> dict[str, Any]:
        changes = {key.replace("_", "-"): value for key, value in attributes.items()}
        edit_subscriber(session, person.id, {"attributes": changes}, origin=READER, now=NOW)
        session.expire(person)
        return person.attributes

    assert edit(member_since="2020-01-31", paying="no") == {
        "member-since": "2020-01-31",
        "paying": False,
    }
    assert edit(paying=True) == {"member-since": "2020-01-31", "paying": True}
    assert edit(member_since="", paying=None) == {}
    assert [
        (change.field, change.before, change.after) for change in changes_of(session, person.id)[2:]
    ] == [
        ("attribute member-since", None, "2020-01-31"),
        ("attribute paying", None, "no"),
        ("attribute paying", "no", "yes"),
        ("attribute member-since", "2020-01-31", None),
        ("attribute paying", "yes", None),
    ]


@pytest.mark.parametrize(
    ("key", "kind", "label", "choices", "place"),
    [
        ("Team", AttributeKind.TEXT, "Team", (), "key"),
        ("team.name", AttributeKind.TEXT, "Team", (), "key"),
        ("team", AttributeKind.TEXT, " ", (), "label"),
        ("team", AttributeKind.TEXT, "Team", ("red",), "choices"),
        ("team", AttributeKind.CHOICE, "Team", (), "choices"),
        ("team", AttributeKind.CHOICE, "Team", ("red", "RED"), "choices"),
        ("team", AttributeKind.CHOICE, "Team", ("red", " "), "choices"),
    ],
)
@on_one_store
def test_an_attribute_that_cannot_be_is_refused_by_its_field(
    session: Session,
    key: str,
    kind: AttributeKind,
    label: str,
    choices: tuple[str, ...],
    place: str,
) -> None:
    with pytest.raises(InputError, match=f"^{place}: "):
        add_attribute(session, key, kind, label=label, choices=choices, now=NOW)

    assert all_attributes(session) == []


def test_a_key_is_given_once(session: Session) -> None:
    add_attribute(session, "team", AttributeKind.TEXT, label="Team", now=NOW)

    with pytest.raises(InputError, match="key: there is an attribute called team already"):
        add_attribute(session, "team", AttributeKind.NUMBER, label="Team", now=NOW)


def test_a_retired_attribute_keeps_its_values_and_takes_no_new_ones(session: Session) -> None:
    add_attribute(session, "team", AttributeKind.TEXT, label="Team", now=NOW)
    person = ada(session)
    edit_subscriber(session, person.id, {"attributes": {"team": "red"}}, origin=EDITOR, now=NOW)

    retire_attribute(session, "team", now=NOW)

    assert person.attributes == {"team": "red"}
    with pytest.raises(InputError, match="attribute team: it is retired"):
        edit_subscriber(session, person.id, {"attributes": {"team": "b"}}, origin=EDITOR, now=NOW)
    edit_subscriber(session, person.id, {"attributes": {"team": ""}}, origin=EDITOR, now=NOW)
    assert person.attributes == {}


def test_whoever_names_an_unknown_attribute_is_told_the_known_ones(session: Session) -> None:
    add_attribute(session, "team", AttributeKind.TEXT, label="Team", now=NOW)

    with pytest.raises(NotFoundError, match="no attribute called 'taem'; there are: team"):
        retire_attribute(session, "taem", now=NOW)

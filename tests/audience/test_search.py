"""People are found by how an address or a name begins, page by page, on both stores alike."""

import pytest
from sqlalchemy.orm import Session

from newsletter.audience.consent import subscribe
from newsletter.audience.search import Wanted, search_subscribers
from newsletter.audience.subscribers import add_subscriber
from newsletter.errors import InputError
from newsletter.models import MailingList, SubscriptionStatus
from tests.audience.people import EDITOR, NOW, a_list

PEOPLE = {
    "ada@readers.example": "Ada Lovelace",
    "adam@elsewhere.example": "Zoe",
    "bo@readers.example": "Ada Bergström",
    "cy_1@gmail.example": "CY TWOMBLY",
    "cyx1@gmail.example": "100% Percent",
    "émile@münchen.example": "Émile Zola",
}

BEGINNINGS = {
    "": ["émile", "cyx1", "cy_1", "bo", "adam", "ada"],
    "ada": ["ada", "adam", "bo"],
    "ADA": ["ada", "adam", "bo"],
    "ada@": ["ada"],
    "Ada Berg": ["bo"],
    "  ada   lovelace ": ["ada"],
    "cy twom": ["cy_1"],
    "cy_": ["cy_1"],
    "100%": ["cyx1"],
    "%": [],
    "Émile": ["émile"],
    "émile@münchen.example": ["émile"],
    "émile@xn--mnchen": ["émile"],
    "@readers.example": ["bo", "ada"],
    "readers.example": ["bo", "ada"],
    "@münchen.example": ["émile"],
    "@nowhere.example": [],
    "readers.exam": [],
    "#1": ["ada"],
    "#999": [],
    "nobody": [],
    "ada\U0010ffff": [],
}
ON_DAILY = {
    ("", None): ["bo", "adam", "ada"],
    ("", SubscriptionStatus.CONFIRMED): ["adam", "ada"],
    ("", SubscriptionStatus.PENDING): ["bo"],
    ("", SubscriptionStatus.UNSUBSCRIBED): [],
    ("ada", SubscriptionStatus.PENDING): ["bo"],
    ("cy", None): [],
    ("@readers.example", SubscriptionStatus.CONFIRMED): ["ada"],
}


@pytest.fixture
def daily(session: Session) -> MailingList:
    """A list with the first three of them; the third has not confirmed."""
    daily = a_list(session)
    for number, (address, name) in enumerate(PEOPLE.items()):
        person = add_subscriber(session, address, {"name": name}, origin=EDITOR, now=NOW)
        if number < 3:
            is_last = number == 2
            status = SubscriptionStatus.PENDING if is_last else SubscriptionStatus.CONFIRMED
            subscribe(session, person, daily, status, origin=EDITOR, evidence={}, now=NOW)
    return daily


def found(session: Session, wanted: Wanted, **more: int) -> list[str]:
    """The local parts of all pages, in order."""
    names, after = [], ""
    while True:
        page = search_subscribers(session, wanted, after=after, **more)
        names += [person.address.partition("@")[0] for person in page.people]
        if page.next_after is None:
            return names
        after = page.next_after


def test_whoever_begins_so_is_found_on_pages_of_any_length(
    session: Session, daily: MailingList
) -> None:
    for limit in (1, 2, 50):
        results = {text: found(session, Wanted(text), limit=limit) for text in BEGINNINGS}

        assert results == BEGINNINGS


def test_a_list_and_a_state_narrow_it(session: Session, daily: MailingList) -> None:
    for limit in (1, 50):
        results = {
            (text, status): found(session, Wanted(text, daily.id, status), limit=limit)
            for text, status in ON_DAILY
        }

        assert results == ON_DAILY


def test_whoever_has_certain_lists_finds_their_people_only(
    session: Session, daily: MailingList
) -> None:
    """S-09"""
    theirs = {"": ["bo", "adam", "ada"], "cy": [], "#5": [], "ada": ["ada", "adam", "bo"]}
    lists = frozenset({daily.id})

    results = {text: found(session, Wanted(text, of_lists=lists), limit=2) for text in theirs}

    assert results == theirs
    assert not any(found(session, Wanted(text, of_lists=frozenset())) for text in theirs)


def test_a_place_that_is_no_pages_end_is_refused(session: Session) -> None:
    for after in ("x", "n", "nx", "n-1", "n9999999999999999999", "7"):
        with pytest.raises(InputError, match="after"):
            search_subscribers(session, Wanted("ada"), after=after)


def test_what_is_no_number_is_said(session: Session) -> None:
    for text in ("#", "#x", "#-1", "#\u0663", "#99999999999999999999"):
        with pytest.raises(InputError, match="number"):
            search_subscribers(session, Wanted(text))

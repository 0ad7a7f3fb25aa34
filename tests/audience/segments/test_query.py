"""Whom a segment holds for, on both stores, and that nothing in it reaches the database as SQL."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import Session

from newsletter.audience.attributes import add_attribute
from newsletter.audience.history import Origin
from newsletter.audience.segments.language import QueryError
from newsletter.audience.segments.query import segmented
from newsletter.audience.subscribers import SubscriberFields, add_subscriber
from newsletter.audience.tags import set_tags
from newsletter.models import (
    AttributeKind,
    ChangeCause,
    Delivery,
    DeliveryState,
    Edition,
    EditionList,
    EditionState,
    Engagement,
    Subscription,
    SubscriptionStatus,
    Tracking,
)
from newsletter.models.partitions import ensure_delivery_partition
from tests.audience.people import NOW, a_list

ED = Origin(ChangeCause.ADMIN, "ed", "command line")
DAY = timedelta(days=1)


@pytest.fixture
def people(session: Session) -> dict[str, int]:
    """Ada, Bo, Cy and Di, of whom much, something, something else and nothing is known."""
    add_attribute(
        session, "plan", AttributeKind.CHOICE, label="Plan", choices=("gold", "free"), now=NOW
    )
    for key, kind in {
        "score": AttributeKind.NUMBER,
        "city": AttributeKind.TEXT,
        "vip": AttributeKind.BOOLEAN,
        "renewal": AttributeKind.DATE,
    }.items():
        add_attribute(session, key, kind, label=key, now=NOW)
    known: dict[str, SubscriberFields] = {
        "Ada": {
            "name": "Ada 100%",
            "language": "en-GB",
            "zone": "Europe/Berlin",
            "attributes": {
                "plan": "gold",
                "score": "40",
                "city": "New York",
                "vip": "yes",
                "renewal": "2026-11-30",
            },
        },
        "Bo": {
            "name": "Bo",
            "language": "zh",
            "attributes": {"plan": "free", "score": "7.5", "vip": "no", "renewal": "2026-11-01"},
        },
        "Cy": {"name": "Cy_x", "language": "en", "zone": "Asia/Shanghai"},
        "Di": {},
    }
    ids = {}
    for days, (name, fields) in enumerate(known.items()):
        address = f"{name.lower()}@{'mail' if name == 'Di' else 'readers'}.example"
        ids[name] = add_subscriber(
            session, address, fields, origin=ED, now=NOW - 20 * days * DAY
        ).id
    set_tags(session, ids["Ada"], ["VIP guest"], origin=ED, now=NOW)
    daily = a_list(session).id
    a_list(session, "weekly", tracking=Tracking.OFF)
    for name, status in (
        ("Ada", SubscriptionStatus.CONFIRMED),
        ("Bo", SubscriptionStatus.PENDING),
        ("Cy", SubscriptionStatus.UNSUBSCRIBED),
    ):
        is_gone = status is SubscriptionStatus.UNSUBSCRIBED
        session.add(
            Subscription(
                list_id=daily,
                subscriber_id=ids[name],
                status=status,
                joined_at=NOW - 40 * DAY,
                left_at=NOW - 3 * DAY if is_gone else None,
            )
        )
    for number, days in ((1, 50), (2, 2)):
        an_edition(session, number, daily, NOW - days * DAY, sent_to=[ids["Ada"], ids["Bo"]])
    engaged(session, 1, ids["Ada"], 0, NOW - 50 * DAY)
    engaged(session, 1, ids["Ada"], 3, NOW - 49 * DAY)
    engaged(session, 2, ids["Bo"], 0, NOW - DAY)
    session.flush()
    return ids


def an_edition(
    session: Session, number: int, list_id: int, at: datetime, *, sent_to: Sequence[int]
) -> None:
    session.add(
        Edition(
            id=number,
            public_id=f"edition-{number}",
            state=EditionState.SENT,
            revision=1,
            created_at=at,
            started_at=at,
            finished_at=at + timedelta(hours=1),
        )
    )
    session.flush()
    session.add(EditionList(edition_id=number, position=0, list_id=list_id))
    ensure_delivery_partition(session, number)
    session.add_all(
        Delivery(
            edition_id=number,
            subscriber_id=subscriber_id,
            list_id=list_id,
            batch=1,
            state=DeliveryState.SENT,
            sent_at=at,
        )
        for subscriber_id in sent_to
    )


def engaged(session: Session, edition_id: int, subscriber_id: int, link: int, at: datetime) -> None:
    session.execute(
        insert(Engagement).values(
            edition_id=edition_id, subscriber_id=subscriber_id, link=link, first_at=at, times=1
        )
    )


CASES = {
    "language is en": "Ada Cy",
    "language is en-gb": "Ada",
    "language in (en, zh)": "Ada Bo Cy",
    "language is not en": "Bo Di",
    "language is unknown": "Di",
    "zone is Europe/Berlin": "Ada",
    "zone is Europe/Paris": "",
    "zone is known": "Ada Cy",
    "domain is mail.example": "Di",
    "name is bo": "Bo",
    'name contains "0%"': "Ada",
    "name contains _": "Cy",
    "name starts with a": "Ada",
    "name is unknown": "Di",
    "added in last 30 days": "Ada Bo",
    "added before 2026-11-01": "Cy Di",
    "added is 2026-11-23": "Ada",
    "added is known": "Ada Bo Cy Di",
    "plan is GOLD": "Ada",
    "plan != gold": "Bo Cy Di",
    "plan in (gold, free)": "Ada Bo",
    "plan is unknown": "Cy Di",
    "score is 7.5": "Bo",
    "score in (40, 41)": "Ada",
    "score > 7.5": "Ada",
    "score >= 7.5": "Ada Bo",
    "score < 40": "Bo",
    "score <= 40": "Ada Bo",
    "not score > 7.5": "Bo Cy Di",
    "city is new": "",
    'city is "new york"': "Ada",
    "city starts with new": "Ada",
    "vip is yes": "Ada",
    "vip is no": "Bo",
    "not vip is no": "Ada Cy Di",
    "renewal in next 7 days": "Ada",
    "renewal in last 4 weeks": "Bo",
    "renewal before 2026-11-30": "Bo",
    "renewal since 2026-11-30": "Ada",
    "renewal after 2026-11-01": "Ada",
    "renewal is 2026-11-01": "Bo",
    "renewal is known": "Ada Bo",
    'tagged "vip guest"': "Ada",
    "on daily": "Ada",
    "pending on daily": "Bo",
    "left daily": "Cy",
    "left daily in last 2 days": "",
    "left daily since 2026-11-20": "Cy",
    "joined daily": "Ada Bo Cy",
    "joined daily in last 30 days": "",
    "on weekly": "",
    "received": "Ada Bo",
    "received edition 2": "Ada Bo",
    "received in last 7 days": "Ada Bo",
    "received before 2026-10-01": "",
    "received before 2026-10-06": "Ada Bo",
    "received after 2026-11-21": "",
    "received list daily in last 60 days": "Ada Bo",
    "received list weekly": "",
    "not received": "Cy Di",
    "clicked": "Ada",
    "clicked edition 1": "Ada",
    "clicked edition 2": "",
    "clicked in last 30 days": "",
    "clicked list daily in last 50 days": "Ada",
    "opened in last 7 days": "Bo",
    "opened list weekly": "",
    "received edition 1 and did not click": "Bo",
    "received edition 2 and did not open": "Ada",
    "on daily or pending on daily and language is zh": "Ada Bo",
    "(on daily or pending on daily) and not language is zh": "Ada",
}


def test_each_condition_holds_for_whom_it_says(session: Session, people: dict[str, int]) -> None:
    names = {number: name for name, number in people.items()}

    found = {
        text: " ".join(
            names[number]
            for number in sorted(session.scalars(segmented(session, text, now=NOW).people))
        )
        for text in CASES
    }

    assert found == CASES


def test_not_is_always_everybody_else(session: Session, people: dict[str, int]) -> None:
    for text in CASES:
        inside = set(session.scalars(segmented(session, text, now=NOW).people))
        outside = set(session.scalars(segmented(session, f"not ({text})", now=NOW).people))

        assert inside | outside == set(people.values()), text
        assert not inside & outside, text


@pytest.mark.parametrize(
    "hostile",
    ["'; DROP TABLE subscriber; --", '" OR 1=1 --', "%", "_", "\\", "$.x", ":x", "{}", "%(x)s"],
)
def test_s_10_what_stands_in_quotation_marks_is_only_ever_a_value(
    session: Session, people: dict[str, int], hostile: str
) -> None:
    quoted = '"' + hostile.replace('"', '""') + '"'

    for text in (f"city is {quoted}", f"city starts with {quoted}", f"name is {quoted}"):
        assert session.scalars(segmented(session, text, now=NOW).people).all() == []


@pytest.mark.parametrize(
    ("text", "column", "expected"),
    [
        ("language is en and tagged nobody", 27, "expected a tag"),
        ("on  nowhere", 5, "expected a list (there are: daily, weekly)"),
        ("clicked list nowhere", 14, "expected a list"),
        ("received edition 99", 18, "there is no edition 99"),
    ],
)
def test_a_name_that_there_is_not_is_a_mistake_with_its_column(
    session: Session, people: dict[str, int], text: str, column: int, expected: str
) -> None:
    with pytest.raises(QueryError, match=r"^column") as caught:
        segmented(session, text, now=NOW)

    assert (caught.value.column, expected in str(caught.value)) == (column, True)


def test_a_condition_on_opens_says_which_lists_keep_none(
    session: Session, people: dict[str, int]
) -> None:
    notes = {
        text: segmented(session, text, now=NOW).notes
        for text in ("opened", "clicked list weekly", "opened edition 1", "received list weekly")
    }

    assert [len(each) for each in notes.values()] == [1, 1, 0, 0]
    assert "weekly keeps no opens of a person (tracking: off)" in notes["opened"][0]


def test_an_edition_that_goes_on_for_days_counts_for_the_days_on_which_it_sent(
    session: Session, people: dict[str, int]
) -> None:
    edition = session.get_one(Edition, 1)
    edition.finished_at = None
    delivery = session.get_one(Delivery, (1, people["Bo"]))
    delivery.sent_at = datetime.combine(NOW.date(), time(3), NOW.tzinfo)
    session.flush()

    found = session.scalars(
        segmented(session, "received edition 1 since 2026-11-23", now=NOW).people
    )

    assert found.all() == [people["Bo"]]

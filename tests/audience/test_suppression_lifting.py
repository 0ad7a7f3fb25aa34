"""B-23, B-25: who may be mailed again, and by whose word."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, parse_address
from newsletter.audience.subscribers import add_subscriber
from newsletter.audience.suppression import (
    NewSuppression,
    is_suppressed,
    keep_suppressions,
    list_suppressions,
    suppress,
)
from newsletter.audience.suppression_lifting import (
    Accident,
    extent_of,
    lift,
    lift_by_person,
    lifted_of,
    undo,
)
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    EVERYWHERE,
    Domain,
    LiftedSuppression,
    ReplyClass,
    Suppression,
    SuppressionReason,
)
from tests.audience.people import EDITOR, NOW

CY = parse_address("cy@readers.example")
HOUR = timedelta(hours=1)
GOOGLE = 7
BOUNCED, COMPLAINED = SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED


def test_b25_an_admin_lifts_what_a_server_said_and_it_is_kept_who_and_why(
    session: Session,
) -> None:
    suppress(session, CY, reason=BOUNCED, source="dsn", now=NOW)

    lift(session, CY, by="ed", why="wrote from there today", now=NOW + HOUR)

    (lifted,) = lifted_of(session, CY)
    assert not is_suppressed(session, CY, list_id=1)
    assert (lifted.lifted_by, lifted.why) == ("ed", "wrote from there today")
    assert (lifted.reason, lifted.source, lifted.created_at) == (BOUNCED, "dsn", NOW)


@pytest.mark.parametrize(
    "reason", [COMPLAINED, SuppressionReason.ON_REQUEST, SuppressionReason.LEFT]
)
def test_b23_nobody_lifts_a_persons_own_word_for_them(
    session: Session, reason: SuppressionReason
) -> None:
    suppress(session, CY, reason=reason, source="arf", now=NOW)

    with pytest.raises(StateError, match=r"Only the person can take that back"):
        lift(session, CY, by="ed", why="they did not mean it", now=NOW)

    assert is_suppressed(session, CY, list_id=1)


def test_b23_the_persons_own_word_lifts_all_and_is_kept(session: Session) -> None:
    suppress(session, CY, reason=COMPLAINED, source="arf", now=NOW)
    suppress(session, CY, reason=BOUNCED, source="dsn", list_id=3, now=NOW)
    suppress(session, CY, reason=BOUNCED, source="dsn", list_id=4, now=NOW)

    lifted = lift_by_person(
        session, address_hash(CY), (EVERYWHERE, 3), why="confirmed", now=NOW + HOUR
    )

    assert lifted == [COMPLAINED, BOUNCED]
    assert is_suppressed(session, CY, list_id=4)
    assert not is_suppressed(session, CY, list_id=3)
    assert {each.lifted_by for each in lifted_of(session, CY)} == {"reader"}


def test_lifting_needs_an_entry_and_a_reason(session: Session) -> None:
    with pytest.raises(NotFoundError, match=r"c\*\*\*@r\*\*\*.example is not suppressed"):
        lift(session, CY, by="ed", why="why not", now=NOW)
    suppress(session, CY, reason=BOUNCED, source="dsn", now=NOW)
    with pytest.raises(InputError, match="reason"):
        lift(session, CY, by="ed", why=" ", now=NOW)


def an_accident_at_google(session: Session) -> None:
    """Within an hour six people at one provider bounce; others bounce, complain, and bounce before."""
    for number in range(8):
        add_subscriber(session, f"r{number}@mail.example", {}, origin=EDITOR, now=NOW)
    add_subscriber(session, "other@small.example", {}, origin=EDITOR, now=NOW)
    session.execute(update(Domain).where(Domain.name == "mail.example").values(route=GOOGLE))
    entries = [
        *((f"r{number}@mail.example", BOUNCED, NOW) for number in range(6)),
        ("r6@mail.example", COMPLAINED, NOW),
        ("r7@mail.example", BOUNCED, NOW - 2 * HOUR),
        ("other@small.example", BOUNCED, NOW),
    ]
    keep_suppressions(
        session,
        [
            NewSuppression(
                address_hash(parse_address(address)),
                EVERYWHERE,
                reason,
                "edition 12",
                at,
                ReplyClass.HARD_BAD_MAILBOX if reason is BOUNCED else None,
            )
            for address, reason, at in entries
        ],
    )


def test_b25_a_providers_accident_is_seen_first_and_then_undone_but_no_complaint(
    session: Session,
) -> None:
    an_accident_at_google(session)
    accident = Accident(NOW - HOUR, NOW + HOUR, route=GOOGLE)

    extent = extent_of(session, accident)
    lifted = undo(session, accident, by="ed", why="it answered 5.1.1 to everybody", now=NOW)
    again = undo(session, accident, by="ed", why="it answered 5.1.1 to everybody", now=NOW)

    assert (extent.found, extent.liftable) == ({BOUNCED: 6, COMPLAINED: 1}, 6)
    assert (lifted, again) == (6, 0)
    assert session.scalar(select(func.count()).select_from(LiftedSuppression)) == 6
    assert session.scalar(select(func.count()).select_from(Suppression)) == 3


@pytest.mark.parametrize(
    ("accident", "liftable"),
    [
        (Accident(NOW - HOUR, NOW + HOUR), 7),
        (Accident(NOW - 3 * HOUR, NOW + HOUR, reply_class=ReplyClass.HARD_BAD_MAILBOX), 8),
        (Accident(NOW - HOUR, NOW + HOUR, reply_class=ReplyClass.HARD_MOVED), 0),
        (Accident(NOW - HOUR, NOW + HOUR, source="edition 12"), 7),
        (Accident(NOW - HOUR, NOW + HOUR, source="edition_12"), 0),
        (Accident(NOW - HOUR, NOW + HOUR, reason=COMPLAINED), 0),
        (Accident(NOW - HOUR, NOW), 0),
    ],
)
def test_b25_an_accident_is_told_by_time_class_reason_and_source(
    session: Session, accident: Accident, liftable: int
) -> None:
    an_accident_at_google(session)

    assert extent_of(session, accident).liftable == liftable


def test_the_list_is_read_page_by_page_with_nothing_twice_or_missing(session: Session) -> None:
    an_accident_at_google(session)
    pages: list[list[bytes]] = []
    after = None

    while not pages or after:
        page = list_suppressions(session, after=after, limit=2)
        pages.append([entry.address_hash for entry in page.entries])
        after = page.next_after

    everything = session.scalars(select(Suppression.address_hash)).all()
    assert [len(page) for page in pages] == [2, 2, 2, 2, 1]
    assert sorted(each for page in pages for each in page) == sorted(everything)


@pytest.mark.parametrize("after", ["yesterday", "2026-11-23T06:00:00.aa.9999999999"])
def test_a_page_that_there_is_not_is_refused(session: Session, after: str) -> None:
    with pytest.raises(InputError, match="after: "):
        list_suppressions(session, after=after)

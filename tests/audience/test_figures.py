"""The size of a list, and who came and went: counted as it happens, whatever makes it happen."""

import io
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from newsletter.audience import figures
from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.figures import Moves, moves_between, note_moves
from newsletter.audience.import_undo import undo_import
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.preferences import undo_leaving
from newsletter.audience.privacy import erase
from newsletter.db import reading, transaction
from newsletter.models import (
    LegalBasis,
    ListDayFigures,
    ListFigures,
    MailingList,
    Subscriber,
    SubscriptionStatus,
)
from newsletter.tokens import UndoRef
from tests.audience.people import EDITOR, NOW, READER, a_list, ada

PENDING, CONFIRMED, LEFT = SubscriptionStatus

PEOPLE = "email,status\nada@readers.example,active\nbo@readers.example,unsubscribed\n"
Day = tuple[int, int, int, int]
"""Joined, imported, left and removed."""


@pytest.fixture
def list_id(engine: Engine) -> int:
    with transaction(engine) as session:
        return a_list(session).id


def join(engine: Engine, list_id: int, status: SubscriptionStatus = CONFIRMED) -> int:
    with transaction(engine) as session:
        person = session.scalar(select(Subscriber)) or ada(session)
        mailing_list = session.get_one(MailingList, list_id)
        subscribe(session, person, mailing_list, status, origin=READER, evidence={}, now=NOW)
        return person.id


def leave(engine: Engine, list_id: int, subscriber_id: int) -> None:
    with transaction(engine) as session:
        person = session.get_one(Subscriber, subscriber_id)
        mailing_list = session.get_one(MailingList, list_id)
        remove_from_list(session, person, mailing_list, origin=EDITOR, now=NOW)


def bring(engine: Engine, list_id: int, text: str) -> int:
    return import_file(
        engine,
        io.BytesIO(text.encode()),
        ImportPlan(basis=LegalBasis.CONSENT),
        list_id=list_id,
        file_name="people.csv",
        by="Ed",
        now=NOW,
    ).import_id


def size(engine: Engine, list_id: int) -> tuple[int, int]:
    """Confirmed and pending."""
    with reading(engine) as session:
        found = session.get(ListFigures, list_id)
        return (found.confirmed, found.pending) if found else (0, 0)


def days(engine: Engine, list_id: int) -> dict[date, Day]:
    with reading(engine) as session:
        rows = session.scalars(select(ListDayFigures).where(ListDayFigures.list_id == list_id))
        return {row.day: (row.joined, row.imported, row.left, row.removed) for row in rows}


def altogether(engine: Engine, list_id: int) -> Day:
    """An import is of the day on which it runs."""
    joined, imported, left, removed = map(sum, zip(*days(engine, list_id).values(), strict=True))
    return joined, imported, left, removed


@pytest.mark.parametrize(
    ("before", "after", "moves"),
    [
        (None, PENDING, Moves(pending=1)),
        (None, CONFIRMED, Moves(joined=1)),
        (None, LEFT, Moves()),
        (PENDING, CONFIRMED, Moves(joined=1, pending=-1)),
        (PENDING, LEFT, Moves(pending=-1)),
        (PENDING, None, Moves(pending=-1)),
        (CONFIRMED, CONFIRMED, Moves()),
        (CONFIRMED, LEFT, Moves(left=1)),
        (CONFIRMED, None, Moves(removed=1)),
        (LEFT, CONFIRMED, Moves(joined=1)),
        (LEFT, None, Moves()),
    ],
)
def test_what_a_change_of_a_subscription_means_for_its_list(
    before: SubscriptionStatus | None, after: SubscriptionStatus | None, moves: Moves
) -> None:
    assert moves_between(before, after) == moves


def test_whoever_asks_confirms_and_leaves_is_counted_each_time(
    engine: Engine, list_id: int
) -> None:
    person = join(engine, list_id, PENDING)
    assert size(engine, list_id) == (0, 1)

    join(engine, list_id)
    assert size(engine, list_id) == (1, 0)

    leave(engine, list_id, person)
    assert size(engine, list_id) == (0, 0)
    assert days(engine, list_id) == {NOW.date(): (1, 0, 1, 0)}


def test_confirming_twice_counts_once(engine: Engine, list_id: int) -> None:
    join(engine, list_id)
    join(engine, list_id)

    assert size(engine, list_id) == (1, 0)
    assert days(engine, list_id) == {NOW.date(): (1, 0, 0, 0)}


def test_who_takes_their_leaving_back_has_not_left(engine: Engine, list_id: int) -> None:
    person = join(engine, list_id)
    leave(engine, list_id, person)

    with transaction(engine) as session:
        assert undo_leaving(session, UndoRef(list_id, person, NOW), now=NOW + timedelta(minutes=5))

    assert size(engine, list_id) == (1, 0)
    assert days(engine, list_id) == {NOW.date(): (1, 0, 0, 0)}


def test_who_is_erased_is_removed_from_their_lists(engine: Engine, list_id: int) -> None:
    person = join(engine, list_id)

    with transaction(engine) as session:
        erase(session, person, source="a test", now=NOW)

    assert size(engine, list_id) == (0, 0)
    assert days(engine, list_id) == {NOW.date(): (1, 0, 0, 1)}


def test_an_import_counts_whom_it_brings_and_whom_it_takes_off(
    engine: Engine, list_id: int
) -> None:
    join(engine, list_id, PENDING)

    bring(engine, list_id, PEOPLE)
    assert size(engine, list_id) == (1, 0), "Ada was pending and is confirmed by the file"

    bring(engine, list_id, "email,status\nada@readers.example,unsubscribed\n")
    assert size(engine, list_id) == (0, 0)
    assert altogether(engine, list_id) == (0, 1, 1, 0)


def test_an_import_that_is_undone_has_its_people_removed(engine: Engine, list_id: int) -> None:
    import_id = bring(engine, list_id, "email\n" + "".join(f"r{n}@x.example\n" for n in range(9)))
    assert size(engine, list_id) == (9, 0)

    undo_import(engine, import_id, by="Ed", now=NOW)

    assert size(engine, list_id) == (0, 0)
    assert altogether(engine, list_id) == (0, 9, 0, 9)


def test_a_day_is_one_of_the_lists_own_zone(engine: Engine, list_id: int) -> None:
    with transaction(engine) as session:
        session.execute(update(MailingList).values(zone="Pacific/Auckland"))
        late = NOW.replace(hour=23)
        note_moves(session, list_id, Moves(joined=1), at=late)

    assert days(engine, list_id) == {NOW.date() + timedelta(days=1): (1, 0, 0, 0)}


def test_what_is_rolled_back_was_never_counted(engine: Engine, list_id: int) -> None:
    with Session(engine) as session:
        session.begin()
        note_moves(session, list_id, Moves(joined=1), at=NOW)
        session.rollback()
        note_moves(session, list_id, Moves(left=1), at=NOW)
        session.commit()

    assert size(engine, list_id) == (-1, 0)


def test_a_savepoint_takes_only_its_own_with_it(engine: Engine, list_id: int) -> None:
    with transaction(engine) as session:
        note_moves(session, list_id, Moves(joined=1), at=NOW)
        with session.begin_nested() as outer:
            note_moves(session, list_id, Moves(joined=10), at=NOW)
            with session.begin_nested():
                note_moves(session, list_id, Moves(joined=100), at=NOW)
            outer.rollback()
        with session.begin_nested():
            note_moves(session, list_id, Moves(joined=1_000), at=NOW)

    assert size(engine, list_id) == (1_001, 0)


def test_a_size_that_drifted_is_found_and_put_right(engine: Engine, list_id: int) -> None:
    join(engine, list_id)
    with transaction(engine) as session:
        session.execute(update(ListFigures).values(confirmed=7))

    with transaction(engine) as session:
        wrong = figures.count_again(session)

    assert [(stored.confirmed, right.confirmed) for stored, right in wrong.values()] == [(7, 1)]
    assert size(engine, list_id) == (1, 0)
    with reading(engine) as session:
        assert figures.compare(session) == {}

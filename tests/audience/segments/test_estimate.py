"""Figures of segments: about and at once, or exactly, whoever dies meanwhile."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, delete, insert

from newsletter.audience.segments import estimate as module
from newsletter.audience.segments.estimate import (
    DEAD_AFTER,
    ask_for_count,
    count_exactly,
    count_waiting,
    estimate,
)
from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import (
    SegmentChanges,
    create_segment,
    edit_segment,
    exact_count,
)
from newsletter.db import reading, transaction
from newsletter.models import Domain, Segment, SegmentCount, Subscriber
from tests.audience.people import NOW

PEOPLE = 30_000


def clock() -> datetime:
    return NOW


def crowd(engine: Engine, people: int, *, first: int = 1) -> None:
    """Every fourth of them reads Chinese."""
    with transaction(engine) as session:
        session.add(Domain(id=1, name="readers.example"))
        session.flush()
        session.execute(
            insert(Subscriber),
            [
                {
                    "id": number,
                    "address": f"r{number}@readers.example",
                    "address_key": f"r{number}@readers.example",
                    "address_hash": bytes(16),
                    "domain_id": 1,
                    "attributes": {},
                    "language": "en" if number % 4 else "zh",
                    "created_at": NOW,
                }
                for number in range(first, first + people)
            ],
        )


def a_segment(engine: Engine, definition: str = "language is zh") -> Segment:
    with transaction(engine) as session:
        return create_segment(session, "chinese", definition, created_by="ed", now=NOW)


def asked(engine: Engine, segment: Segment) -> None:
    with transaction(engine) as session:
        ask_for_count(session, segment.id, segment.definition, now=NOW)


def counted(engine: Engine, segment: Segment) -> SegmentCount | None:
    with reading(engine) as session:
        return exact_count(session, segment)


def test_few_people_are_all_looked_at(engine: Engine) -> None:
    crowd(engine, 400, first=1_000)

    with reading(engine) as session:
        found = estimate(session, segmented(session, "language is zh", now=NOW))

    assert (found.people, found.audience, found.is_exact) == (100, 400, True)


def test_nobody_at_all_is_nobody(engine: Engine) -> None:
    with reading(engine) as session:
        found = estimate(session, segmented(session, "language is zh", now=NOW))

    assert (found.people, found.audience, found.is_exact) == (0, 0, True)


@pytest.mark.parametrize("store", ["sqlite"])
def test_of_many_people_a_sample_tells_within_two_points_and_always_the_same(
    engine: Engine,
) -> None:
    crowd(engine, PEOPLE)

    with reading(engine) as session:
        segment = segmented(session, "language is zh", now=NOW)
        first, second = estimate(session, segment), estimate(session, segment)

    assert abs(first.people - PEOPLE / 4) <= 0.02 * PEOPLE
    assert abs(first.audience - PEOPLE) <= 0.02 * PEOPLE
    assert 0 < first.margin < 0.02 * PEOPLE
    assert first == second


@pytest.mark.parametrize("store", ["sqlite"])
def test_numbers_that_nobody_has_any_more_do_not_mislead_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAMPLE", 1_000)
    crowd(engine, PEOPLE)
    with transaction(engine) as session:
        session.execute(delete(Subscriber).where(Subscriber.id.between(2_000, PEOPLE - 4_000)))
        left = 1_999 + 4_000

    with reading(engine) as session:
        found = estimate(session, segmented(session, "language is zh", now=NOW))

    assert not found.is_exact
    assert abs(found.people - left / 4) <= found.margin < 0.05 * left


def test_an_exact_count_looks_at_everybody_and_tells_how_far_it_is(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(engine, 1_000)
    monkeypatch.setattr(module, "SLICE", 300)
    segment = a_segment(engine)
    asked(engine, segment)
    seen: list[tuple[int, int]] = []

    is_done = count_exactly(
        engine, segment.id, clock=clock, on_progress=lambda done, total: seen.append((done, total))
    )

    count = counted(engine, segment)
    assert is_done
    assert count is not None
    assert (count.people, count.ended_at) == (250, NOW)
    assert seen == [(300, 1_000), (600, 1_000), (900, 1_000), (1_000, 1_000)]


def test_a_count_whose_worker_died_is_taken_up_where_it_stood(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(engine, 1_000)
    monkeypatch.setattr(module, "SLICE", 300)
    segment = a_segment(engine)
    asked(engine, segment)

    def die(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        count_exactly(engine, segment.id, clock=clock, on_progress=die)
    count_waiting(engine, clock=clock)
    meanwhile = counted(engine, segment)
    count_waiting(engine, clock=lambda: NOW + DEAD_AFTER + timedelta(seconds=1))

    count = counted(engine, segment)
    assert meanwhile is not None
    assert (meanwhile.cursor, meanwhile.ended_at) == (300, None)
    assert count is not None
    assert (count.people, count.cursor) == (250, 1_000)


def test_who_asks_again_begins_anew_and_replaces_who_counts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(engine, 1_000)
    monkeypatch.setattr(module, "SLICE", 300)
    segment = a_segment(engine)
    asked(engine, segment)

    is_done = count_exactly(
        engine, segment.id, clock=clock, on_progress=lambda _done, _total: asked(engine, segment)
    )

    count = counted(engine, segment)
    assert not is_done
    assert count is not None
    assert (count.cursor, count.alive_at) == (0, None)


def test_the_count_of_a_definition_that_was_edited_is_no_count_of_the_new_one(
    engine: Engine,
) -> None:
    crowd(engine, 100)
    segment = a_segment(engine)
    asked(engine, segment)
    count_waiting(engine, clock=clock)

    with transaction(engine) as session:
        changes = SegmentChanges(definition="language is en")
        edited = edit_segment(session, segment.name, changes, now=NOW)

    assert counted(engine, edited) is None

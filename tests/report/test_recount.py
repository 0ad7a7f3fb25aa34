"""Figures that are wrong are found and put right, and those that are right are left alone."""

from datetime import timedelta
from typing import Any

import pytest
import redis as redis_client
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.models import (
    BATCH_COUNTERS,
    Batch,
    BatchState,
    Delivery,
    EditionFigures,
    EventKind,
    ExclusionFigures,
    HourFigures,
    LinkFigures,
    ListFigures,
    Reason,
    StoryFigures,
)
from newsletter.redis import EVENT_STREAM
from newsletter.report.recount import check_figures, mend_figures
from newsletter.tokens import NOBODY
from newsletter.track.events import NO_LINK, ReaderEvent, pack_events
from newsletter.track.stream import FIELD
from newsletter.track.unsubscribes import unsubscribe
from newsletter.track.writer import write_events
from tests.track.people import SEVEN, Morning, mailed_morning

LATER = SEVEN + timedelta(hours=30)


@pytest.fixture
def morning(engine: Engine, redis: "redis_client.Redis") -> Morning:
    """Ada opened, followed both stories and left; Bo opened later; somebody without a name clicked."""
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        session.add(
            Batch(
                edition_id=morning.edition_id,
                number=1,
                state=BatchState.DONE,
                due_at=SEVEN,
                people=2,
                sent=2,
            )
        )
        for list_id, people in ((morning.list_id, 2), (morning.other_list_id, 1)):
            session.add(ListFigures(list_id=list_id, confirmed=people, pending=0))
    deeds = (
        (EventKind.OPEN, morning.ada, NO_LINK, SEVEN),
        (EventKind.CLICK, morning.ada, 1, SEVEN),
        (EventKind.CLICK, morning.ada, 2, LATER),
        (EventKind.OPEN, morning.bo, NO_LINK, LATER),
        (EventKind.CLICK, NOBODY, 2, LATER),
    )
    events = [
        ReaderEvent(kind, morning.edition_id, person, link, at) for kind, person, link, at in deeds
    ]
    redis.xadd(EVENT_STREAM, {FIELD: pack_events(events)})
    write_events(engine, redis, now=LATER)
    with transaction(engine) as session:
        unsubscribe(session, morning.subscription(morning.ada), at=LATER, how="page")
    return morning


def differences(engine: Engine) -> dict[str, tuple[int, int]]:
    return {each.what: (each.stored, each.counted) for each in check_figures(engine)}


@pytest.mark.usefixtures("morning")
def test_what_is_counted_as_it_happens_is_what_the_rows_say(engine: Engine) -> None:
    assert check_figures(engine) == []


@pytest.mark.usefixtures("morning")
def test_each_kind_of_figure_that_is_wrong_is_named(engine: Engine) -> None:
    with transaction(engine) as session:
        kept = dict.fromkeys(BATCH_COUNTERS, 0) | {"people": 9, "sent": 9}
        session.execute(update(EditionFigures).values(opens=9, clickers=9, **kept))
        session.execute(update(LinkFigures).where(LinkFigures.number == 1).values(clicks=9))
        session.execute(update(StoryFigures).where(StoryFigures.story == 2).values(clickers=9))
        session.execute(update(HourFigures).where(HourFigures.hour == 0).values(opens=9))
        session.execute(update(Batch).values(sent=1, failed=1))
        session.execute(update(ListFigures).where(ListFigures.list_id == 2).values(pending=3))
        session.add(ExclusionFigures(edition_id=1, reason=Reason.ON_BREAK, people=5))

    assert differences(engine) == {
        "edition 1, opens": (9, 2),
        "edition 1, clickers": (9, 2),
        "edition 1, clicks of link 1": (9, 1),
        "edition 1, readers of story 2": (9, 2),
        "edition 1, excluded: on_break": (5, 0),
        "edition 1, hours' opens by list 1": (10, 2),
        "edition 1, batch 1: sent": (1, 2),
        "edition 1, batch 1: failed": (1, 0),
        "edition 1, sum of sent": (9, 2),
        "list 2, pending": (3, 0),
    }


@pytest.mark.usefixtures("morning")
def test_mending_counts_everything_anew_from_the_rows(engine: Engine) -> None:
    before = rows_of(engine)
    with transaction(engine) as session:
        session.execute(update(EditionFigures).values(opens=9, clicks=9))
        for table in (LinkFigures, StoryFigures, HourFigures):
            session.execute(delete(table))
        session.execute(update(ListFigures).values(confirmed=9))

    found = mend_figures(engine)

    assert found
    assert rows_of(engine) == before
    assert check_figures(engine) == []


def test_an_edition_whose_rows_are_gone_keeps_its_figures(engine: Engine, morning: Morning) -> None:
    with transaction(engine) as session:
        session.execute(delete(Delivery).where(Delivery.edition_id == morning.edition_id))
        session.execute(update(EditionFigures).values(opens=9))

    assert mend_figures(engine, [morning.edition_id]) == []

    with Session(engine) as session:
        assert session.scalars(select(EditionFigures.opens)).one() == 9


def rows_of(engine: Engine) -> list[list[tuple[Any, ...]]]:
    """All figures, without the sums that an edition gets when it ends."""
    with Session(engine) as session:
        return [
            sorted(tuple(row) for row in session.execute(select(*columns)))
            for columns in (
                (EditionFigures.opens, EditionFigures.clicks, EditionFigures.clickers),
                (LinkFigures.number, LinkFigures.clicks),
                (StoryFigures.story, StoryFigures.clickers),
                (
                    *(HourFigures.list_id, HourFigures.hour, HourFigures.opens),
                    *(HourFigures.clicks, HourFigures.unsubscribes),
                ),
                (ListFigures.list_id, ListFigures.confirmed, ListFigures.pending),
            )
        ]

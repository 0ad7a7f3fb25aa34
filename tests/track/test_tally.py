"""Figures by story and by hour: each reader counted once, by the time since their own mail."""

from datetime import datetime, timedelta

import pytest
import redis as redis_client
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.models import (
    HOURS,
    Delivery,
    EditionFigures,
    EventKind,
    HourFigures,
    Link,
    StoryFigures,
)
from newsletter.redis import EVENT_STREAM
from newsletter.tokens import NOBODY, UndoRef
from newsletter.track.events import NO_LINK, ReaderEvent, pack_events
from newsletter.track.figures import hour_since
from newsletter.track.stream import FIELD
from newsletter.track.unsubscribes import take_back, unsubscribe
from newsletter.track.writer import write_events
from tests.track.people import SEVEN, Morning, mailed_morning

HOUR = timedelta(hours=1)


@pytest.fixture
def morning(engine: Engine) -> Morning:
    """Story 1 has the links 1 and 3, story 2 has link 2; link 4 stands outside."""
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        for number, story in ((3, 1), (4, None)):
            session.add(
                Link(
                    edition_id=morning.edition_id,
                    number=number,
                    url=f"https://x.example/{number}",
                    story=story,
                )
            )
    return morning


def write(
    engine: Engine,
    client: "redis_client.Redis",
    morning: Morning,
    *events: tuple[int, int],
    after: timedelta = timedelta(),
) -> None:
    """Each event is (reader, link), that long after seven."""
    packed = pack_events(
        [
            ReaderEvent(
                EventKind.OPEN if link == NO_LINK else EventKind.CLICK,
                morning.edition_id,
                reader,
                link,
                SEVEN + after,
            )
            for reader, link in events
        ]
    )
    client.xadd(EVENT_STREAM, {FIELD: packed})
    write_events(engine, client, now=SEVEN + after)


def clickers(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalars(select(EditionFigures.clickers)).one()


def stories(engine: Engine) -> dict[int, int]:
    with Session(engine) as session:
        return dict(session.execute(select(StoryFigures.story, StoryFigures.clickers)).all())


def hours(engine: Engine) -> dict[int, tuple[int, int, int]]:
    with Session(engine) as session:
        rows = session.scalars(select(HourFigures))
        return {row.hour: (row.opens, row.clicks, row.unsubscribes) for row in rows}


@pytest.mark.parametrize(
    ("after", "hour"),
    [
        (timedelta(seconds=-30), 0),
        (timedelta(0), 0),
        (timedelta(minutes=59, seconds=59), 0),
        (HOUR, 1),
        (7 * 24 * HOUR - timedelta(seconds=1), HOURS - 1),
        (7 * 24 * HOUR, HOURS),
        (timedelta(days=400), HOURS),
    ],
)
def test_hours_are_whole_and_end_with_the_first_week(after: timedelta, hour: int) -> None:
    assert hour_since(SEVEN, SEVEN + after) == hour


def test_a_reader_of_two_links_of_a_story_is_one_reader_of_it(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    write(engine, redis, morning, (morning.ada, 1), (morning.ada, 3))

    assert clickers(engine) == 1
    assert stories(engine) == {1: 1}


def test_what_a_reader_followed_before_is_remembered_between_batches(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    write(engine, redis, morning, (morning.ada, 1))
    write(engine, redis, morning, (morning.ada, 1), (morning.ada, 3), (morning.ada, 2))
    write(engine, redis, morning, (morning.bo, 3), (morning.bo, 4))

    assert clickers(engine) == 2
    assert stories(engine) == {1: 2, 2: 1}


def test_a_link_outside_of_the_stories_makes_a_clicker_and_no_reader_of_a_story(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    write(engine, redis, morning, (morning.ada, 4))

    assert clickers(engine) == 1
    assert stories(engine) == {}


def test_of_nobody_in_particular_each_click_counts(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    write(engine, redis, morning, (NOBODY, 1), (NOBODY, 1), (NOBODY, NO_LINK))

    assert clickers(engine) == 2
    assert stories(engine) == {1: 2}
    assert hours(engine) == {0: (1, 2, 0)}


def test_the_hour_is_counted_from_the_readers_own_mail(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    mail_to(engine, morning.bo, SEVEN + 6 * HOUR)

    write(engine, redis, morning, (morning.ada, NO_LINK), (morning.bo, NO_LINK), after=6.5 * HOUR)

    assert hours(engine) == {6: (1, 0, 0), 0: (1, 0, 0)}


def test_only_the_first_time_of_a_reader_counts_in_an_hour(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    write(engine, redis, morning, (morning.ada, NO_LINK), (morning.ada, 1))
    write(engine, redis, morning, (morning.ada, NO_LINK), (morning.ada, 1), after=3 * HOUR)

    assert hours(engine) == {0: (1, 1, 0)}


def test_leaving_counts_in_its_hour_and_no_more_when_it_is_taken_back(
    engine: Engine, morning: Morning
) -> None:
    left_at = SEVEN + 2 * HOUR
    with transaction(engine) as session:
        unsubscribe(session, morning.subscription(morning.ada), at=left_at, how="page")
    assert hours(engine) == {2: (0, 0, 1)}

    with transaction(engine) as session:
        undo = UndoRef(morning.list_id, morning.ada, left_at)
        assert take_back(session, undo, now=left_at + timedelta(minutes=1))

    assert hours(engine) == {2: (0, 0, 0)}


def mail_to(engine: Engine, subscriber_id: int, at: datetime) -> None:
    with transaction(engine) as session:
        session.execute(
            update(Delivery).where(Delivery.subscriber_id == subscriber_id).values(sent_at=at)
        )

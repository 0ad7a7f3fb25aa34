"""Lists that count without names: figures grow, and no row says who it was."""

from datetime import timedelta

import redis as redis_client
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.models import Engagement, Event, EventKind
from newsletter.redis import EVENT_STREAM
from newsletter.tokens import NOBODY
from newsletter.track.events import NO_LINK, ReaderEvent, pack_events
from newsletter.track.stream import FIELD
from newsletter.track.writer import write_events
from tests.track.people import SEVEN, edition_figures, link_figures, mailed_morning

NOW = SEVEN + timedelta(minutes=5)


def test_opens_and_clicks_of_nobody_are_counted_each_time(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    morning = mailed_morning(engine)
    did = [(EventKind.OPEN, NO_LINK), (EventKind.OPEN, NO_LINK), (EventKind.CLICK, 1)]
    nobody = [ReaderEvent(kind, morning.edition_id, NOBODY, link, SEVEN) for kind, link in did]
    by_ada = ReaderEvent(EventKind.OPEN, morning.edition_id, morning.ada, NO_LINK, SEVEN)
    redis.xadd(EVENT_STREAM, {FIELD: pack_events([*nobody, by_ada])})

    written = write_events(engine, redis, now=NOW)

    assert written == 4
    assert edition_figures(engine, morning.edition_id) == (3, 1, 0)
    assert link_figures(engine) == {1: 1}
    with Session(engine) as session:
        assert session.scalars(select(Engagement.subscriber_id)).all() == [morning.ada]
        assert set(session.scalars(select(Event.subscriber_id))) == {NOBODY, morning.ada}


def test_nobody_opens_no_edition_and_follows_no_link_that_is_not_there(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    morning = mailed_morning(engine)
    strays = [
        ReaderEvent(EventKind.OPEN, 999, NOBODY, NO_LINK, SEVEN),
        ReaderEvent(EventKind.CLICK, morning.edition_id, NOBODY, 99, SEVEN),
    ]
    redis.xadd(EVENT_STREAM, {FIELD: pack_events(strays)})

    assert write_events(engine, redis, now=NOW) == 0

"""From the stream to the tables: exactly once, whatever stops the writer and however many run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import redis as redis_client
from sqlalchemy import Engine, event, func, select
from sqlalchemy.orm import Session

from newsletter.models import (
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Engagement,
    Event,
    EventKind,
    Evidence,
    Settlement,
    Subscriber,
)
from newsletter.redis import EVENT_STREAM
from newsletter.track import writer
from newsletter.track.events import NO_LINK, ReaderEvent, pack_events
from newsletter.track.stream import FIELD
from newsletter.track.writer import write_events
from tests.track.people import SEVEN, Morning, edition_figures, link_figures, mailed_morning

NOW = SEVEN + timedelta(minutes=5)
DAY = timedelta(days=1)


@pytest.fixture
def morning(engine: Engine) -> Morning:
    return mailed_morning(engine)


def opened(morning: Morning, subscriber_id: int, minute: int = 0) -> ReaderEvent:
    at = SEVEN + timedelta(minutes=minute)
    return ReaderEvent(EventKind.OPEN, morning.edition_id, subscriber_id, NO_LINK, at)


def clicked(morning: Morning, subscriber_id: int, link: int) -> ReaderEvent:
    return ReaderEvent(EventKind.CLICK, morning.edition_id, subscriber_id, link, SEVEN)


def stream(client: "redis_client.Redis", *events: ReaderEvent) -> None:
    client.xadd(EVENT_STREAM, {FIELD: pack_events(events)})


def rows(engine: Engine) -> int:
    with Session(engine) as session:
        return session.scalar(select(func.count()).select_from(Event)) or 0


def engagement(engine: Engine) -> dict[tuple[int, int], int]:
    with Session(engine) as session:
        found = session.execute(
            select(Engagement.subscriber_id, Engagement.link, Engagement.times)
        ).all()
        return {(subscriber_id, link): times for subscriber_id, link, times in found}


@contextmanager
def failing_commit(engine: Engine) -> Iterator[None]:
    def fail(_connection: object) -> None:
        message = "killed before the commit"
        raise ConnectionAbortedError(message)

    event.listen(engine, "commit", fail)
    try:
        yield
    finally:
        event.remove(engine, "commit", fail)


def test_opens_count_readers_and_clicks_count_pairs_of_reader_and_link(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    stream(redis, opened(morning, morning.ada), opened(morning, morning.ada, 1))
    stream(redis, opened(morning, morning.bo), clicked(morning, morning.bo, 1))
    stream(redis, clicked(morning, morning.bo, 1), clicked(morning, morning.bo, 2))

    written = write_events(engine, redis, now=NOW)

    assert written == rows(engine) == 6
    assert edition_figures(engine, morning.edition_id) == (2, 2, 0)
    assert link_figures(engine) == {1: 1, 2: 1}
    assert engagement(engine) == {
        (morning.ada, NO_LINK): 2,
        (morning.bo, NO_LINK): 1,
        (morning.bo, 1): 2,
        (morning.bo, 2): 1,
    }


def test_a_click_is_no_open(engine: Engine, redis: "redis_client.Redis", morning: Morning) -> None:
    stream(redis, clicked(morning, morning.ada, 1))

    write_events(engine, redis, now=NOW)

    assert edition_figures(engine, morning.edition_id) == (0, 1, 0)


def test_who_opened_in_an_earlier_batch_is_not_counted_again(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    stream(redis, opened(morning, morning.ada, 3))
    write_events(engine, redis, now=NOW)

    stream(redis, opened(morning, morning.ada, 1), opened(morning, morning.bo, 2))
    write_events(engine, redis, now=NOW)

    assert edition_figures(engine, morning.edition_id) == (2, 0, 0)
    with Session(engine) as session:
        ada = session.get_one(Engagement, (morning.edition_id, morning.ada, NO_LINK))
        assert (ada.times, ada.first_at) == (2, SEVEN + timedelta(minutes=1))


@pytest.mark.parametrize(
    "stray",
    [
        ReaderEvent(EventKind.OPEN, 999, 1, NO_LINK, SEVEN),
        ReaderEvent(EventKind.OPEN, 2**32 - 1, 2**48 - 1, NO_LINK, SEVEN),
        ReaderEvent(EventKind.OPEN, 1, 999, NO_LINK, SEVEN),
        ReaderEvent(EventKind.CLICK, 1, 1, 3, SEVEN),
        ReaderEvent(EventKind.CLICK, 1, 1, NO_LINK, SEVEN),
        ReaderEvent(EventKind.UNSUBSCRIBE, 1, 1, NO_LINK, SEVEN),
    ],
    ids=["no edition", "greatest ids", "not mailed", "no such link", "click on nothing", "kind"],
)
def test_an_event_that_belongs_to_nothing_is_dropped_and_the_next_is_written(
    engine: Engine, redis: "redis_client.Redis", morning: Morning, stray: ReaderEvent
) -> None:
    assert (morning.edition_id, morning.ada) == (1, 1)
    stream(redis, stray, opened(morning, morning.ada))

    written = write_events(engine, redis, now=NOW)

    assert written == rows(engine) == 1
    assert edition_figures(engine, morning.edition_id) == (1, 0, 0)


def test_a_garbled_entry_does_not_stop_the_stream(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    redis.xadd(EVENT_STREAM, {FIELD: b"half an ev"})
    redis.xadd(EVENT_STREAM, {"other": b"field"})
    stream(redis, opened(morning, morning.ada))

    assert write_events(engine, redis, now=NOW) == 1
    assert write_events(engine, redis, now=NOW) == 0


def test_a_wrong_clock_opens_no_partition_of_a_far_day(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    stream(redis, opened(morning, morning.ada, -60 * 24 * 400), opened(morning, morning.bo, 90))

    write_events(engine, redis, now=NOW)

    with Session(engine) as session:
        assert set(session.scalars(select(Event.at))) == {NOW}


def test_what_is_written_leaves_the_stream(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    for minute in range(3):
        stream(redis, opened(morning, morning.ada, minute))

    write_events(engine, redis, now=NOW)

    assert redis.xlen(EVENT_STREAM) == 0


def test_a_writer_killed_before_its_commit_has_written_nothing_and_the_next_one_everything(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    stream(redis, opened(morning, morning.ada), clicked(morning, morning.ada, 1))
    write_events(engine, redis, now=NOW)
    stream(redis, opened(morning, morning.ada), opened(morning, morning.bo))

    with failing_commit(engine), pytest.raises(ConnectionAbortedError):
        write_events(engine, redis, now=NOW)

    assert rows(engine) == 2
    assert write_events(engine, redis, now=NOW) == 2
    assert edition_figures(engine, morning.edition_id) == (2, 1, 0)
    assert engagement(engine)[morning.ada, NO_LINK] == 2


def test_a_writer_killed_between_commit_and_trim_counts_nothing_twice(
    engine: Engine, redis: "redis_client.Redis", morning: Morning, redis_server: str
) -> None:
    class KilledAtTrim(redis_client.Redis):
        def xtrim(self, *_: object, **__: object) -> int:
            message = "killed before the trim"
            raise redis_client.ConnectionError(message)

    stream(redis, opened(morning, morning.ada), clicked(morning, morning.ada, 1))
    dying = KilledAtTrim.from_url(redis_server)

    with dying, pytest.raises(redis_client.ConnectionError):
        write_events(engine, dying, now=NOW)

    assert redis.xlen(EVENT_STREAM) == 1
    assert write_events(engine, redis, now=NOW) == 0
    assert rows(engine) == 2
    assert edition_figures(engine, morning.edition_id) == (1, 1, 0)


def test_two_writers_at_once_drain_the_stream_exactly_once(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    for _ in range(60):
        stream(redis, *(opened(morning, morning.ada, minute % 5) for minute in range(100)))
    together = threading.Barrier(2)
    written: list[int] = []

    def drain() -> None:
        together.wait(10)
        written.append(write_events(engine, redis, now=NOW))

    threads = [threading.Thread(target=drain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    written.append(write_events(engine, redis, now=NOW))

    assert sum(written) == rows(engine) == 6_000
    assert edition_figures(engine, morning.edition_id) == (1, 0, 0)
    assert engagement(engine) == {(morning.ada, NO_LINK): 6_000}


def test_a_transaction_holds_no_more_events_than_it_may(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    for _ in range(5):
        stream(redis, *(opened(morning, morning.ada) for _ in range(400)))

    written = write_events(engine, redis, now=NOW, budget=timedelta(0))

    assert written == 800 <= writer.EVENTS_A_TRANSACTION


def test_a_spent_budget_leaves_the_rest_for_the_next_writer(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    for _ in range(3):
        stream(redis, *(opened(morning, morning.ada) for _ in range(500)))

    first = write_events(engine, redis, now=NOW, budget=timedelta(0))
    second = write_events(engine, redis, now=NOW, budget=timedelta(0))

    assert (first, second) == (1_000, 500)
    assert write_events(engine, redis, now=NOW) == 0


def test_who_opens_or_clicks_has_got_what_was_in_doubt(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    doubt(engine, morning)
    stream(redis, opened(morning, morning.ada), clicked(morning, morning.bo, 1))

    write_events(engine, redis, now=NOW)

    assert settled(engine) == {
        morning.ada: (DeliveryState.SENT, Evidence.OPEN),
        morning.bo: (DeliveryState.SENT, Evidence.CLICK),
    }
    with Session(engine) as session:
        batch = session.get_one(Batch, (morning.edition_id, 1))
    assert (batch.sent, batch.uncertain) == (2, 0)


def test_a_writer_that_dies_settles_nothing_and_the_next_one_everything(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    doubt(engine, morning)
    stream(redis, opened(morning, morning.ada))
    with failing_commit(engine), pytest.raises(ConnectionAbortedError):
        write_events(engine, redis, now=NOW)
    assert settled(engine) == {}

    write_events(engine, redis, now=NOW)

    assert list(settled(engine)) == [morning.ada]


def doubt(engine: Engine, morning: Morning) -> None:
    """Nobody knows whether Ada and Bo were sent their mail."""
    with Session(engine) as session, session.begin():
        for reader in (morning.ada, morning.bo):
            delivery = session.get_one(Delivery, (morning.edition_id, reader))
            delivery.state, delivery.sent_at = DeliveryState.UNCERTAIN, None
        session.add(
            Batch(
                edition_id=morning.edition_id,
                number=1,
                state=BatchState.DONE,
                due_at=SEVEN,
                people=2,
                uncertain=2,
            )
        )


def settled(engine: Engine) -> dict[int, tuple[DeliveryState, Evidence]]:
    with Session(engine) as session:
        rows = session.execute(
            select(Settlement.subscriber_id, Delivery.state, Settlement.evidence).join(
                Delivery, Delivery.subscriber_id == Settlement.subscriber_id
            )
        )
        return {row.subscriber_id: (row.state, row.evidence) for row in rows}


def test_r31_when_somebody_last_clicked_is_known_to_about_a_day(
    engine: Engine, redis: "redis_client.Redis", morning: Morning
) -> None:
    def last_clicks() -> dict[int, datetime | None]:
        with Session(engine) as session:
            return dict(session.execute(select(Subscriber.id, Subscriber.clicked_at)).all())

    stream(redis, clicked(morning, morning.bo, 1), opened(morning, morning.ada))
    write_events(engine, redis, now=NOW)
    assert (last_clicks()[morning.bo], last_clicks()[morning.ada]) == (SEVEN, None)

    later = [replace(clicked(morning, morning.bo, 1), at=SEVEN + DAY * n / 2) for n in (1, 3)]
    for event_later, known in zip(later, (SEVEN, SEVEN + DAY * 3 / 2), strict=True):
        stream(redis, event_later)
        write_events(engine, redis, now=SEVEN + 2 * DAY)

        assert last_clicks()[morning.bo] == known

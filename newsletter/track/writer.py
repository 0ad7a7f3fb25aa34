"""Writes the stream's events to the database, each exactly once.

The cursor that says how far the stream is written moves in the transaction that writes, and only
from where the events were read. So a writer that is killed has written a whole batch or nothing of
it, and of two writers with the same batch one finds the cursor moved and leaves.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import redis
from sqlalchemy import Engine, case, insert, or_, select, update
from sqlalchemy.orm import Session

from newsletter.db import among, changed, insert_or_ignore, reading, transaction, upsert
from newsletter.deliver.settling import settle_by_evidence
from newsletter.errors import InputError
from newsletter.models import (
    Delivery,
    DeliveryState,
    Edition,
    EditionList,
    Engagement,
    Event,
    EventKind,
    Evidence,
    IngestCursor,
    Link,
    Subscriber,
)
from newsletter.models.partitions import ensure_event_partition
from newsletter.redis import EVENT_STREAM
from newsletter.tokens import NOBODY
from newsletter.track.events import NO_LINK, ReaderEvent, unpack_events
from newsletter.track.stream import FIELD
from newsletter.track.tally import First, Mailed, Readers, count_firsts

logger = logging.getLogger(__name__)

EVENTS_A_TRANSACTION = 1_000
ENTRIES_A_READ = 100
BEGINNING = "0-0"
GREATEST_EDITION_ID = 2**31 - 1  # PostgreSQL refuses the whole query for a greater one
BUDGET = timedelta(seconds=20)

# A web server whose clock is wrong must not open a partition for a day that is far off.
OLDEST = timedelta(days=7)
EARLIEST_AHEAD = timedelta(hours=1)
CLICKED_ABOUT = timedelta(days=1)

Engaged = tuple[int, int, int]
"""(edition, subscriber, link); link 0 is the open."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Entries read from the stream: those behind `after`, up to and with `last_id`."""

    after: str
    last_id: str
    events: dict[str, ReaderEvent]


def write_events(
    engine: Engine, client: "redis.Redis", *, now: datetime, budget: timedelta = BUDGET
) -> int:
    """Write until the stream is drained, `budget` is spent or another writer is at work.

    Returns how many events were written; those that name no delivery or no link are dropped.
    """
    deadline = time.monotonic() + budget.total_seconds()
    written = 0
    while (batch := _read(engine, client)) is not None:
        count = _write(engine, batch, now)
        if count is None:
            break
        client.xtrim(EVENT_STREAM, minid=_behind(batch.last_id), approximate=False)
        written += count
        if time.monotonic() >= deadline:
            break
    return written


def _read(engine: Engine, client: "redis.Redis") -> _Batch | None:
    # Outside the transaction: SQLite's one writer must not wait for the network.
    after = _position(engine)
    entries = cast(
        "list[tuple[bytes, dict[bytes, bytes]]]",
        client.xrange(EVENT_STREAM, min=f"({after}", count=ENTRIES_A_READ),
    )
    last_id, events = after, dict[str, ReaderEvent]()
    for raw_id, fields in entries:
        entry_id = raw_id.decode()
        found = _unpacked(entry_id, fields)
        if events and len(events) + len(found) > EVENTS_A_TRANSACTION:
            break
        events |= {f"{entry_id}-{index}": event for index, event in enumerate(found)}
        last_id = entry_id
    return None if last_id == after else _Batch(after, last_id, events)


def _position(engine: Engine) -> str:
    with reading(engine) as session:
        cursor = session.get(IngestCursor, EVENT_STREAM)
        if cursor is not None:
            return cursor.last_id
    with transaction(engine) as session:
        start = insert_or_ignore(session, IngestCursor)
        session.execute(start, {"stream": EVENT_STREAM, "last_id": BEGINNING})
    return BEGINNING


def _unpacked(entry_id: str, fields: dict[bytes, bytes]) -> list[ReaderEvent]:
    try:
        return unpack_events(fields.get(FIELD, b""))
    except InputError as error:
        logger.warning("stream entry dropped", extra={"entry": entry_id, "error": str(error)})
        return []


def _behind(entry_id: str) -> str:
    milliseconds, _, sequence = entry_id.partition("-")
    return f"{milliseconds}-{int(sequence) + 1}"


def _write(engine: Engine, batch: _Batch, now: datetime) -> int | None:
    """How many events of the batch were written; None: another writer was first."""
    with transaction(engine) as session:
        if not _move_cursor(session, batch):
            return None
        readers = _readers(session, batch.events.values())
        events = _possible(session, _plausible(batch.events, now), readers)
        _insert(session, events)
        firsts = [*_engage(session, events.values()), *_unnamed(events.values())]
        # Deliveries and batches before figures, as everybody does who changes both.
        _settle_doubts(session, events.values(), readers, now)
        count_firsts(session, firsts, readers)
        _note_clicks(session, events.values())
    return len(events)


def _move_cursor(session: Session, batch: _Batch) -> bool:
    """Also the lock: a second writer waits here until the first has committed."""
    move = (
        update(IngestCursor)
        .where(IngestCursor.stream == EVENT_STREAM, IngestCursor.last_id == batch.after)
        .values(last_id=batch.last_id)
    )
    return changed(session, move) == 1


def _plausible(events: dict[str, ReaderEvent], now: datetime) -> dict[str, ReaderEvent]:
    return {
        sequence: event
        if now - OLDEST <= event.at <= now + EARLIEST_AHEAD
        else replace(event, at=now)
        for sequence, event in events.items()
    }


def _possible(
    session: Session, events: dict[str, ReaderEvent], readers: Readers
) -> dict[str, ReaderEvent]:
    """The opens and clicks of people who were mailed the edition, on links that it has."""
    links = _links(session, {edition_id for edition_id, _ in readers})
    return {
        sequence: event
        for sequence, event in events.items()
        if (event.edition_id, event.subscriber_id) in readers and _is_possible(event, links)
    }


def _readers(session: Session, events: Iterable[ReaderEvent]) -> Readers:
    """Asked edition by edition, so that PostgreSQL looks into that edition's partition alone."""
    wanted = defaultdict[int, set[int]](set)
    for event in events:
        if event.edition_id <= GREATEST_EDITION_ID:
            wanted[event.edition_id].add(event.subscriber_id)
    begun = dict(
        session.execute(select(Edition.id, Edition.started_at).where(Edition.id.in_(wanted))).all()
    )
    found = {
        (edition_id, subscriber_id): Mailed(state, list_id, sent_at or started_at)
        for edition_id, started_at in begun.items()
        for subscriber_id, state, list_id, sent_at in session.execute(
            select(
                Delivery.subscriber_id, Delivery.state, Delivery.list_id, Delivery.sent_at
            ).where(
                Delivery.edition_id == edition_id,
                Delivery.subscriber_id.in_(wanted[edition_id]),
            )
        )
    }
    # A link that names nobody asks for no delivery, only for its edition.
    first_lists = _first_lists(session, {each for each in begun if NOBODY in wanted[each]})
    return found | {
        (edition_id, NOBODY): Mailed(DeliveryState.SENT, list_id, begun[edition_id])
        for edition_id, list_id in first_lists.items()
    }


def _first_lists(session: Session, edition_ids: set[int]) -> dict[int, int]:
    """Which of its lists nobody was a reader of, nobody can tell: the first stands for all."""
    if not edition_ids:
        return {}
    rows = session.execute(
        select(EditionList.edition_id, EditionList.list_id)
        .where(EditionList.edition_id.in_(edition_ids))
        .order_by(EditionList.position.desc())
    )
    return dict(rows.all())


def _links(session: Session, edition_ids: set[int]) -> set[tuple[int, int]]:
    rows = session.execute(
        select(Link.edition_id, Link.number).where(Link.edition_id.in_(edition_ids))
    )
    return {(edition_id, number) for edition_id, number in rows}


def _is_possible(event: ReaderEvent, links: set[tuple[int, int]]) -> bool:
    if event.kind is EventKind.OPEN:
        return event.link == NO_LINK
    return event.kind is EventKind.CLICK and (event.edition_id, event.link) in links


def _insert(session: Session, events: dict[str, ReaderEvent]) -> None:
    if not events:
        return
    days = {event.at.date(): event.at for event in events.values()}
    for day in sorted(days):
        ensure_event_partition(session, days[day])
    session.execute(
        insert(Event),
        [
            {
                "at": event.at,
                "sequence": sequence,
                "edition_id": event.edition_id,
                "subscriber_id": event.subscriber_id,
                "kind": event.kind,
                "link": None if event.link == NO_LINK else event.link,
            }
            for sequence, event in events.items()
        ],
    )


def _engage(session: Session, events: Iterable[ReaderEvent]) -> list[First]:
    """Add to what each delivery came to; returns what happened to it for the first time."""
    times = Counter[Engaged]()
    first_at: dict[Engaged, datetime] = {}
    for event in events:
        if event.subscriber_id == NOBODY:
            continue
        key = (event.edition_id, event.subscriber_id, event.link)
        times[key] += 1
        first_at[key] = min(event.at, first_at.get(key, event.at))
    if not times:
        return []
    fresh = upsert(session, Engagement)
    earlier = case(
        (fresh.excluded.first_at < Engagement.first_at, fresh.excluded.first_at),
        else_=Engagement.first_at,
    )
    statement = fresh.on_conflict_do_update(
        index_elements=[Engagement.edition_id, Engagement.subscriber_id, Engagement.link],
        set_={"times": Engagement.times + fresh.excluded.times, "first_at": earlier},
    ).returning(Engagement.edition_id, Engagement.subscriber_id, Engagement.link, Engagement.times)
    rows = [
        {
            "edition_id": key[0],
            "subscriber_id": key[1],
            "link": key[2],
            "first_at": first_at[key],
            "times": times[key],
        }
        for key in sorted(times)
    ]
    totals = session.execute(statement, rows).all()
    # A row that held nothing before now holds what this batch brought and no more.
    return [
        First(edition_id, subscriber_id, link, first_at[edition_id, subscriber_id, link])
        for edition_id, subscriber_id, link, total in totals
        if total == times[edition_id, subscriber_id, link]
    ]


def _unnamed(events: Iterable[ReaderEvent]) -> list[First]:
    """What nobody in particular did: each time counts, since nobody can be told apart."""
    return [
        First(event.edition_id, NOBODY, event.link, event.at)
        for event in events
        if event.subscriber_id == NOBODY
    ]


def _settle_doubts(
    session: Session, events: Iterable[ReaderEvent], readers: Readers, now: datetime
) -> None:
    """Whoever opens or clicks has got the message: then it is sent, if that was in doubt."""
    settled = defaultdict[tuple[int, Evidence], set[int]](set)
    for event in events:
        if readers[event.edition_id, event.subscriber_id].state is DeliveryState.UNCERTAIN:
            kind = Evidence.OPEN if event.kind is EventKind.OPEN else Evidence.CLICK
            settled[event.edition_id, kind].add(event.subscriber_id)
    for edition_id, kind in sorted(settled):
        settle_by_evidence(session, edition_id, sorted(settled[edition_id, kind]), kind, now)


def _note_clicks(session: Session, events: Iterable[ReaderEvent]) -> None:
    """Whoever follows links is mailed first while a transport warms up; a day more or less is nothing."""
    clicks = [event for event in events if event.kind is EventKind.CLICK]
    if not clicks:
        return
    at = max(event.at for event in clicks)
    people = sorted({event.subscriber_id for event in clicks} - {NOBODY})
    session.execute(
        update(Subscriber)
        .where(
            among(session, Subscriber.id, people),
            or_(Subscriber.clicked_at.is_(None), Subscriber.clicked_at < at - CLICKED_ABOUT),
        )
        .values(clicked_at=at)
        .execution_options(synchronize_session=False)
    )

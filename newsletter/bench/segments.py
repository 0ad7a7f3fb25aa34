"""Measures segments: how long a look at a figure takes, how far off it is, and what the truth costs.

The audience is made inside the database: people with attributes and tags, a month of daily editions
with a delivery for each of them, and what they opened and clicked.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Select,
    String,
    case,
    cast,
    insert,
    literal,
    null,
    select,
)
from sqlalchemy.orm import Session

from newsletter.addresses import HASH_BYTES
from newsletter.audience.attributes import add_attribute
from newsletter.audience.lists import create_list
from newsletter.audience.segments.estimate import ask_for_count, count_exactly, estimate
from newsletter.audience.segments.query import OPEN, segmented
from newsletter.audience.segments.saved import create_segment, exact_count
from newsletter.bench.audience import DOMAIN_ID, LIST
from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.models import (
    AttributeKind,
    Delivery,
    DeliveryState,
    Domain,
    Edition,
    EditionList,
    EditionState,
    Engagement,
    Subscriber,
    SubscriberTag,
    Subscription,
    SubscriptionStatus,
    Tag,
    Zone,
    schema,
)
from newsletter.models.partitions import ensure_delivery_partition
from newsletter.stack.postgres import running_postgres

EDITIONS = 30
LOOKS = 5
QUERIES = (
    "language is en",
    "plan is gold and score >= 50",
    'name contains "99"',
    "tagged vip",
    "on bench and joined bench in last 100 days",
    "received edition 12",
    "received edition 12 and did not click",
    "received in last 3 days and did not open",
    "clicked in last 30 days",
    "opened in last 7 days",
    "not received in last 30 days",
    "(language in (zh, fr) or zone is Asia/Shanghai) and not tagged vip"
    " and clicked list bench in last 14 days",
)

_SERVER = {"shared_buffers": "512MB", "fsync": "off", "max_wal_size": "4GB"}
_SPREAD = 2**32
_LANGUAGES = ("en", "en", "en", "zh", "zh", "fr", None)
_PLANS = ("gold", "silver", "free", "free")
_SCORES = (5, 20, 35, 60, 80)
_RECEIVE, _OPEN, _CLICK = 880, 200, 40
"""Of a thousand people with an edition: how many are sent it, open it and click in it."""


@dataclass(frozen=True, slots=True)
class Measured:
    query: str
    about: int
    people: int
    estimate_ms: float
    exact_seconds: float
    error_points: float
    """Of the whole audience."""


@dataclass(frozen=True, slots=True)
class SegmentFigures:
    store: str
    rows: int
    editions: int
    estimate_ms: float
    """The median over the queries, of each the median look."""
    slowest_estimate_ms: float
    worst_error_points: float
    exact_seconds: float
    """The median over the queries."""
    slowest_exact_seconds: float
    peak_rss_mb: float
    queries: tuple[Measured, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measure_segments(store: str, rows: int, *, tell: Callable[[str], None]) -> SegmentFigures:
    with _database(store) as url:
        engine = make_engine(url)
        try:
            schema.upgrade(engine)
            now = utc_now()
            _make(engine, rows, now, tell)
            measured = tuple(_measured(engine, query, rows, now, tell) for query in QUERIES)
        finally:
            engine.dispose()
    looks = [each.estimate_ms for each in measured]
    counts = [each.exact_seconds for each in measured]
    return SegmentFigures(
        store=store,
        rows=rows,
        editions=EDITIONS,
        estimate_ms=round(statistics.median(looks), 1),
        slowest_estimate_ms=max(looks),
        worst_error_points=max(each.error_points for each in measured),
        exact_seconds=round(statistics.median(counts), 2),
        slowest_exact_seconds=max(counts),
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        queries=measured,
    )


@contextmanager
def _database(store: str) -> Iterator[str]:
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as folder:
            yield f"sqlite:///{Path(folder) / 'newsletter.db'}"
        return
    with running_postgres(_SERVER) as server:
        yield f"{server.url}/postgres"


def _measured(
    engine: Engine, query: str, rows: int, now: datetime, tell: Callable[[str], None]
) -> Measured:
    tell(query)
    looks = []
    for _ in range(LOOKS):
        began = time.monotonic()
        with reading(engine) as session:
            about = estimate(session, segmented(session, query, now=now))
        looks.append(time.monotonic() - began)
    began = time.monotonic()
    people = _counted(engine, query, now)
    return Measured(
        query=query,
        about=about.people,
        people=people,
        estimate_ms=round(statistics.median(looks) * 1000, 1),
        exact_seconds=round(time.monotonic() - began, 2),
        error_points=round(abs(about.people - people) / rows * 100, 2),
    )


def _counted(engine: Engine, query: str, now: datetime) -> int:
    name = f"bench-{QUERIES.index(query)}"
    with transaction(engine) as session:
        segment = create_segment(session, name, query, created_by="bench", now=now)
        ask_for_count(session, segment.id, segment.definition, now=now)
    count_exactly(engine, segment.id, clock=utc_now)
    with reading(engine) as session:
        count = exact_count(session, segment)
        assert count is not None
        return count.people


def _make(engine: Engine, rows: int, now: datetime, tell: Callable[[str], None]) -> None:
    tell(f"making {rows:,} people")
    with transaction(engine) as session:
        list_id = create_list(session, LIST, now=now).id
        choices = sorted(set(_PLANS))
        kinds = {"plan": AttributeKind.CHOICE, "score": AttributeKind.NUMBER}
        for key, kind in kinds.items():
            chosen = choices if kind is AttributeKind.CHOICE else ()
            add_attribute(session, key, kind, label=key, choices=chosen, now=now)
        session.add_all([Domain(id=DOMAIN_ID, name="readers.example"), Tag(id=1, name="vip")])
        session.add_all([Zone(id=1, name="Asia/Shanghai"), Zone(id=2, name="Europe/Paris")])
        session.flush()
        _make_people(session, rows, now)
        _make_ties(session, list_id, now)
    for number in range(1, EDITIONS + 1):
        tell(f"making edition {number} of {EDITIONS}")
        with transaction(engine) as session:
            _make_edition(
                session, list_id, number, now - timedelta(days=EDITIONS - number, hours=1)
            )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_postgres = connection.dialect.name == "postgresql"
        connection.exec_driver_sql("VACUUM ANALYZE" if is_postgres else "ANALYZE")


def _make_people(session: Session, rows: int, now: datetime) -> None:
    first = select(cast(literal(1), BigInteger).label("number")).cte("numbers", recursive=True)
    following = select(first.c.number + 1).where(first.c.number < rows)
    number = first.union_all(following).c.number
    address = literal("reader") + cast(number, String) + literal("@readers.example")
    attributes = [
        literal({"plan": plan, "score": score}, Subscriber.attributes.type)
        for plan in _PLANS
        for score in _SCORES
    ]
    people: dict[str, ColumnElement[Any]] = {
        "id": number,
        "address": address,
        "address_key": address,
        "address_hash": literal(bytes(HASH_BYTES)),
        "domain_id": literal(DOMAIN_ID),
        "name": literal("Reader ") + cast(number, String),
        "language": _one_of(number, 1, [literal(each, String) for each in _LANGUAGES]),
        "zone_id": _one_of(number, 2, [literal(1), literal(2), null(), null()]),
        "attributes": _one_of(number, 3, attributes),
        "created_at": literal(now, Subscriber.created_at.type),
    }
    _insert(session, Subscriber, people, select(*people.values()))


def _make_ties(session: Session, list_id: int, now: datetime) -> None:
    months = [
        literal(now - timedelta(days=30 * month), Subscription.joined_at.type)
        for month in range(1, 13)
    ]
    ties: dict[str, ColumnElement[Any]] = {
        "list_id": literal(list_id),
        "subscriber_id": Subscriber.id.expression,
        "status": literal(int(SubscriptionStatus.CONFIRMED)),
        "hidden_sections": literal(0),
        "joined_at": _one_of(Subscriber.id.expression, 4, months),
    }
    _insert(session, Subscription, ties, select(*ties.values()))
    tags: dict[str, ColumnElement[Any]] = {
        "tag_id": literal(1),
        "subscriber_id": Subscriber.id.expression,
    }
    is_tagged = _chance(Subscriber.id.expression, 5) < 70
    _insert(session, SubscriberTag, tags, select(*tags.values()).where(is_tagged))


def _make_edition(session: Session, list_id: int, number: int, at: datetime) -> None:
    edition = Edition(
        id=number,
        public_id=f"bench-{number}",
        state=EditionState.SENT,
        revision=1,
        created_at=at,
        started_at=at,
        finished_at=at + timedelta(minutes=10),
    )
    session.add(edition)
    session.flush()
    session.add(EditionList(edition_id=number, position=0, list_id=list_id))
    ensure_delivery_partition(session, number)
    subscriber = Subscriber.id.expression
    chance = _chance(subscriber, 10 + number)
    is_sent = chance < _RECEIVE
    deliveries: dict[str, ColumnElement[Any]] = {
        "edition_id": literal(number),
        "subscriber_id": subscriber,
        "list_id": literal(list_id),
        "batch": subscriber // 500,
        "state": case((is_sent, int(DeliveryState.SENT)), else_=int(DeliveryState.EXCLUDED)),
        "attempts": literal(1),
        "sent_at": case((is_sent, literal(at, Delivery.sent_at.type)), else_=None),
    }
    ordered = select(*deliveries.values()).order_by(subscriber)
    _insert(session, Delivery, deliveries, ordered)
    for link, people in ((OPEN, _OPEN), (1, _CLICK)):
        deeds: dict[str, ColumnElement[Any]] = {
            "edition_id": literal(number),
            "subscriber_id": subscriber,
            "link": literal(link),
            "first_at": literal(at + timedelta(minutes=30), Engagement.first_at.type),
            "times": literal(1),
        }
        _insert(session, Engagement, deeds, select(*deeds.values()).where(chance < people))


def _insert(
    session: Session, table: type[Any], columns: dict[str, ColumnElement[Any]], rows: Select[Any]
) -> None:
    session.execute(insert(table).from_select(list(columns), rows))


def _chance(number: ColumnElement[int], salt: int) -> ColumnElement[int]:
    """From 0 to 999, as if by chance and the same every time."""
    factor = 2_654_435_761 + 2 * 1_299_709 * salt
    return number * factor % _SPREAD // 65_536 % 1_000


def _one_of(
    number: ColumnElement[int], salt: int, values: Iterable[ColumnElement[Any]]
) -> ColumnElement[Any]:
    several = list(values)
    chance = _chance(number, salt)
    step = 1_000 / len(several)
    return case(
        *((chance < round(step * (place + 1)), value) for place, value in enumerate(several[:-1])),
        else_=several[-1],
    )

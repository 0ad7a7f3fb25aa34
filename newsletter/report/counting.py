"""What the rows of an edition come to, as its figures have it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Result,
    and_,
    case,
    cast,
    distinct,
    func,
    select,
)
from sqlalchemy.orm import Session

from newsletter.models import (
    HOURS,
    Delivery,
    DeliveryState,
    Edition,
    EditionList,
    Engagement,
    Event,
    EventKind,
    Link,
    Reason,
)
from newsletter.tokens import NOBODY
from newsletter.track.events import NO_LINK

HOUR_SECONDS = 3600
COUNTED_STATES: Mapping[DeliveryState, str] = {
    state: state.name.lower() for state in DeliveryState if state is not DeliveryState.WAITING
}
"""What a batch has a counter for; its waiting people are the rest."""


@dataclass(frozen=True, slots=True)
class Counted:
    """All figures of an edition by what they are of, as they stand or as its rows say."""

    edition: Mapping[str, int]
    links: Mapping[int, int]
    stories: Mapping[int, int]
    reasons: Mapping[Reason, int]
    lists: Mapping[int, tuple[int, int, int]]
    """By list: opens, clicks, unsubscribes of all hours. What is told late moves no hour, so that
    hours can be compared by their sums only."""
    batches: Mapping[tuple[int, str], int]
    sums: Mapping[str, int] = field(default_factory=dict)
    """Of the batches' counters, where they are kept."""


def counted(session: Session, edition_id: int) -> Counted:
    clicks = _clicks(session, edition_id)
    hours = hour_rows(session, edition_id)
    lists = defaultdict[int, list[int]](lambda: [0, 0, 0])
    for row in hours:
        for place, name in enumerate(("opens", "clicks", "unsubscribes")):
            lists[row["list_id"]][place] += row[name]
    return Counted(
        edition={
            "opens": sum(row["opens"] for row in hours),
            "clicks": sum(clicks.values()),
            "clickers": _clickers(session, edition_id),
            "unsubscribes": sum(row["unsubscribes"] for row in hours),
        },
        links=clicks,
        stories=_story_clickers(session, edition_id),
        reasons=_sum(
            session.execute(
                select(Delivery.reason, func.count())
                .where(Delivery.edition_id == edition_id, Delivery.state == DeliveryState.EXCLUDED)
                .group_by(Delivery.reason)
            )
        ),
        lists={list_id: (sums[0], sums[1], sums[2]) for list_id, sums in lists.items()},
        batches=_batch_counts(session, edition_id),
    )


def _clicks(session: Session, edition_id: int) -> Counter[int]:
    by_readers = session.execute(
        select(Engagement.link, func.count())
        .where(Engagement.edition_id == edition_id, Engagement.link != NO_LINK)
        .group_by(Engagement.link)
    )
    by_nobody = session.execute(
        select(Event.link, func.count())
        .where(*_of_nobody(edition_id, EventKind.CLICK))
        .group_by(Event.link)
    )
    return _sum(by_readers) + _sum(by_nobody)


def _sum(rows: Result[Any, int]) -> Counter[Any]:
    """Pairs of a key and a count."""
    return Counter(dict(rows.all()))


def _clickers(session: Session, edition_id: int) -> int:
    readers = session.scalar(
        select(func.count(distinct(Engagement.subscriber_id))).where(
            Engagement.edition_id == edition_id, Engagement.link != NO_LINK
        )
    )
    nobody = session.scalar(
        select(func.count()).select_from(Event).where(*_of_nobody(edition_id, EventKind.CLICK))
    )
    return (readers or 0) + (nobody or 0)


def _story_clickers(session: Session, edition_id: int) -> Counter[int]:
    is_told = Link.story.is_not(None)
    by_readers = session.execute(
        select(Link.story, func.count(distinct(Engagement.subscriber_id)))
        .join(
            Engagement,
            and_(Engagement.edition_id == Link.edition_id, Engagement.link == Link.number),
        )
        .where(Link.edition_id == edition_id, is_told)
        .group_by(Link.story)
    )
    by_nobody = session.execute(
        select(Link.story, func.count())
        .join(Event, and_(Event.edition_id == Link.edition_id, Event.link == Link.number))
        .where(*_of_nobody(edition_id, EventKind.CLICK), is_told)
        .group_by(Link.story)
    )
    return _sum(by_readers) + _sum(by_nobody)


def _of_nobody(edition_id: int, kind: EventKind) -> tuple[ColumnElement[bool], ...]:
    return Event.edition_id == edition_id, Event.subscriber_id == NOBODY, Event.kind == kind


def _batch_counts(session: Session, edition_id: int) -> dict[tuple[int, str], int]:
    rows = session.execute(
        select(Delivery.batch, Delivery.state, func.count())
        .where(Delivery.edition_id == edition_id, Delivery.state != DeliveryState.WAITING)
        .group_by(Delivery.batch, Delivery.state)
    )
    return {(batch, COUNTED_STATES[state]): count for batch, state, count in rows}


def hour_rows(session: Session, edition_id: int) -> list[dict[str, Any]]:
    """Rows of `hour_figures`, without their edition."""
    sums = defaultdict[tuple[int, int], Counter[str]](Counter)
    sent_at = func.coalesce(Delivery.sent_at, Edition.started_at)
    same_reader = and_(
        Delivery.edition_id == Engagement.edition_id,
        Delivery.subscriber_id == Engagement.subscriber_id,
    )
    deed = case((Engagement.link == NO_LINK, "opens"), else_="clicks")
    hour = _hour(session, sent_at, Engagement.first_at)
    for list_id, number, name, count in session.execute(
        select(Delivery.list_id, hour, deed, func.count())
        .join(Engagement, same_reader)
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.edition_id == edition_id, Engagement.edition_id == edition_id)
        .group_by(Delivery.list_id, hour, deed)
    ):
        sums[list_id, number][name] += count
    hour = _hour(session, sent_at, Event.at)
    for list_id, number, count in session.execute(
        select(Delivery.list_id, hour, func.count())
        .join(
            Event,
            and_(
                Event.edition_id == Delivery.edition_id,
                Event.subscriber_id == Delivery.subscriber_id,
            ),
        )
        .join(Edition, Edition.id == Delivery.edition_id)
        .where(Delivery.edition_id == edition_id, Event.kind == EventKind.UNSUBSCRIBE)
        .group_by(Delivery.list_id, hour)
    ):
        sums[list_id, number]["unsubscribes"] += count
    for list_id, number, name, count in _hours_of_nobody(session, edition_id):
        sums[list_id, number][name] += count
    return [
        {
            "list_id": list_id,
            "hour": number,
            **{name: counts[name] for name in ("opens", "clicks", "unsubscribes")},
        }
        for (list_id, number), counts in sums.items()
    ]


def _hours_of_nobody(session: Session, edition_id: int) -> Iterator[tuple[int, int, str, int]]:
    first_list = session.scalar(
        select(EditionList.list_id)
        .where(EditionList.edition_id == edition_id)
        .order_by(EditionList.position)
        .limit(1)
    )
    hour = _hour(session, func.coalesce(Edition.started_at, Event.at), Event.at)
    for kind, name in ((EventKind.OPEN, "opens"), (EventKind.CLICK, "clicks")):
        rows = session.execute(
            select(hour, func.count())
            .select_from(Event)
            .join(Edition, Edition.id == Event.edition_id)
            .where(*_of_nobody(edition_id, kind))
            .group_by(hour)
        )
        for number, count in rows:
            if first_list is not None:
                yield first_list, number, name, count


def _hour(session: Session, since: ColumnElement[Any], at: Any) -> ColumnElement[int]:
    """Whole hours from `since` to `at`, as `newsletter.track.figures.hour_since` has them."""
    if session.get_bind().dialect.name == "postgresql":
        hours: ColumnElement[Any] = func.floor(func.extract("epoch", at - since) / HOUR_SECONDS)
    else:
        seconds = [cast(func.strftime("%s", each), Integer) for each in (at, since)]
        hours = (seconds[0] - seconds[1]) // HOUR_SECONDS
    return cast(case((hours < 0, 0), (hours > HOURS, HOURS), else_=hours), Integer)

"""The editions of the past: when each went out, what it said, and what it came to."""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import case, insert, literal, select, update
from sqlalchemy.orm import Session

from newsletter.compose.formatting import format_briefing
from newsletter.models import (
    HOURS,
    NO_BATCH,
    Batch,
    BatchState,
    Edition,
    EditionFigures,
    EditionList,
    EditionState,
    ExclusionFigures,
    HourFigures,
    Link,
    LinkFigures,
    MailingList,
    Reason,
    Revision,
    StoryFigures,
    Transport,
)
from newsletter.plan.editions import Content, content_of, create_edition
from newsletter.plan.planner import BATCH
from newsletter.plan.slots import read_weekdays
from newsletter.plan.timing import instant_of, rules_of
from newsletter.plan.waves import ONLY
from newsletter.seed.content import make_briefing
from newsletter.seed.lists import LISTS
from newsletter.seed.people import CHANCE
from newsletter.settings import Settings

BY = "Ada Abbott"
SENT_WITHIN = timedelta(minutes=25)
_DAY = timedelta(days=1)
_WRITTEN_BEFORE = timedelta(hours=2)
_APPROVED_BEFORE = timedelta(minutes=70)
_SHARE_OF_REST = 0.14
_FAILED_EACH = 250
_UNCERTAIN_EACH = 50_000


@dataclass(frozen=True, slots=True)
class Past:
    """An edition that was sent; `place` is its list's in `LISTS`."""

    place: int
    day: date
    at: datetime


@dataclass(frozen=True, slots=True)
class _Reach:
    """How many people a past edition went to."""

    mailed: int
    suppressed: int
    unsubscribed: int
    unconfirmed: int

    @property
    def excluded(self) -> int:
        return self.suppressed + self.unsubscribed + self.unconfirmed


def calendar(editions: int, *, now: datetime) -> list[Past]:
    """The newest so many editions that the lists had until yesterday, the oldest first."""
    found: list[Past] = []
    day = now.date()
    while len(found) < editions:
        day -= _DAY
        for place, seed in enumerate(LISTS):
            at = instant_of(day, seed.at, rules_of(seed.new.zone))
            if day.weekday() in read_weekdays(seed.days) and at is not None:
                found.append(Past(place, day, at))
    return sorted(found[:editions], key=lambda past: past.at)


def content_for(place: int, day: date) -> Content:
    briefing = make_briefing(LISTS[place].new.name, day)
    return content_of(briefing, format_briefing(briefing))


def make_editions(
    session: Session,
    past: Sequence[Past],
    lists: Sequence[MailingList],
    transport: Transport,
    *,
    settings: Settings,
) -> list[int]:
    """Returns their numbers."""
    ids = []
    for each in past:
        edition = create_edition(
            session,
            content_for(each.place, each.day),
            lists=[lists[each.place]],
            settings=settings,
            created_by=BY,
            now=each.at - _WRITTEN_BEFORE,
        )
        _mark_sent(session, edition, each, transport)
        ids.append(edition.id)
    session.flush()
    return ids


def make_figures(
    session: Session, edition_id: int, past: Past, mailing_list: MailingList, people: int
) -> None:
    """What a past edition came to, made up: only the newest have rows to count."""
    chance = random.Random(f"{CHANCE} {edition_id}")  # noqa: S311  nothing is kept secret by it
    reach = _reach(past, people, chance)
    _make_batches(session, edition_id, reach, past.at)
    _add(session, ExclusionFigures, edition_id, _exclusions(reach))
    sent = reach.mailed - reach.mailed // _FAILED_EACH
    links = session.execute(
        select(Link.number, Link.story).where(Link.edition_id == edition_id).order_by(Link.number)
    ).all()
    opens = int(sent * chance.uniform(0.34, 0.46))
    clicks = [int(sent * chance.random() ** 4 * 0.02) for _ in links]
    unsubscribes = int(sent * chance.uniform(0.0002, 0.0009))
    stories = {
        story: max(count for (_, other), count in zip(links, clicks, strict=True) if other == story)
        for _, story in links
        if story is not None
    }
    _add(
        session,
        LinkFigures,
        edition_id,
        ({"number": row[0], "clicks": n} for row, n in zip(links, clicks, strict=True) if n),
    )
    _add(
        session,
        StoryFigures,
        edition_id,
        ({"story": story, "clickers": n} for story, n in stories.items() if n),
    )
    hours = list(_hours(opens, sum(clicks), unsubscribes))
    _add(session, HourFigures, edition_id, ({"list_id": mailing_list.id, **row} for row in hours))
    figures = {
        "opens": opens,
        "clicks": sum(clicks),
        "clickers": int(sum(clicks) * 0.7),
        "unsubscribes": unsubscribes,
    }
    _add(session, EditionFigures, edition_id, [figures])


def _mark_sent(session: Session, edition: Edition, past: Past, transport: Transport) -> None:
    edition.state = EditionState.SENT
    edition.approved_revision = edition.revision
    edition.approved_at = past.at - _APPROVED_BEFORE
    edition.transport_id = transport.id
    edition.started_at = past.at
    edition.planned_at = past.at + timedelta(minutes=1)
    edition.finished_at = past.at + SENT_WITHIN
    session.flush()
    revision = session.get_one(Revision, (edition.id, edition.revision))
    revision.approved_at, revision.approved_by = edition.approved_at, BY
    session.execute(
        update(EditionList)
        .where(EditionList.edition_id == edition.id)
        .values(slot_date=past.day)
        .execution_options(synchronize_session=False)
    )


def _reach(past: Past, people: int, chance: random.Random) -> _Reach:
    on_list = int(people * LISTS[past.place].share / 100 * chance.uniform(0.93, 0.95))
    return _Reach(
        mailed=max(on_list, 1),
        suppressed=on_list // 97,
        unsubscribed=on_list // 25,
        unconfirmed=on_list // 100,
    )


def _make_batches(session: Session, edition_id: int, reach: _Reach, at: datetime) -> None:
    common = {
        "edition_id": literal(edition_id),
        "state": literal(BatchState.DONE, Batch.state.type),
        "wave": literal(ONLY),
        "due_at": literal(at, Batch.due_at.type),
        "revision": literal(1),
    }
    count = math.ceil(reach.mailed / BATCH)
    first = select(literal(1).label("number")).cte("numbers", recursive=True)
    following = select(first.c.number + 1).where(first.c.number < count)
    number = first.union_all(following).c.number
    people = case((number == count, reach.mailed - BATCH * (count - 1)), else_=BATCH)
    failed = people // _FAILED_EACH
    uncertain = case((number % (_UNCERTAIN_EACH // BATCH) == 0, 1), else_=0)
    columns: dict[str, Any] = {
        **common,
        "number": number,
        "people": people,
        "failed": failed,
        "uncertain": uncertain,
        "sent": people - failed - uncertain,
        **dict.fromkeys(("deferred", "excluded", "cancelled", "lease_token"), literal(0)),
        **dict.fromkeys(("route", "tier", "intent_upto"), literal(0)),
    }
    session.execute(
        insert(Batch).from_select(list(columns), select(*columns.values()), include_defaults=False)
    )
    session.add(
        Batch(
            edition_id=edition_id,
            number=NO_BATCH,
            state=BatchState.DONE,
            due_at=at,
            people=reach.excluded,
            excluded=reach.excluded,
        )
    )
    session.execute(update(Edition).where(Edition.id == edition_id).values(last_batch=count))


def _exclusions(reach: _Reach) -> Iterator[dict[str, Any]]:
    for reason, people in (
        (Reason.SUPPRESSED, reach.suppressed),
        (Reason.UNSUBSCRIBED, reach.unsubscribed),
        (Reason.UNCONFIRMED, reach.unconfirmed),
    ):
        yield {"reason": reason, "people": people}


def _hours(opens: int, clicks: int, unsubscribes: int) -> Iterator[dict[str, int]]:
    """Most of it happens at once, and half of what is left every few hours."""
    left = {"opens": opens, "clicks": clicks, "unsubscribes": unsubscribes}
    for hour in range(HOURS + 1):
        share = 1.0 if hour == HOURS else _SHARE_OF_REST
        row = {name: int(count * share) for name, count in left.items()}
        left = {name: count - row[name] for name, count in left.items()}
        if any(row.values()):
            yield {"hour": hour, **row}


def _add(
    session: Session, table: type[Any], edition_id: int, rows: Iterable[dict[str, Any]]
) -> None:
    found = [{"edition_id": edition_id, **row} for row in rows]
    if found:
        session.execute(insert(table), found)

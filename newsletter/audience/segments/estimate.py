"""How many people a segment has: about, from a sample and at once, or exactly, slice by slice.

The sample is drawn from the range of the subscribers' numbers, some from each of many equal
strata, always the same: reading them by key costs the same however many people there are, and the
figure does not jump from one look to the next. Numbers that nobody has any more only make it draw
more.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, case, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.audience.segments.query import Segmented, segmented
from newsletter.db import among, changed, locked, reading, transaction
from newsletter.models import SegmentCount, Subscriber

SAMPLE = 8_000
"""People who are looked at: the figure is then off by more than two points of the audience once in
some thousand times, and by half a point mostly."""
NEIGHBOURS = 4
"""Who came one after the other lies on one page of every table, so that a few cost little more than
one; people of one import are not alike in fours, and where whole ranges are, the strata see it."""
MOST_DRAWN = 100_000
SLICE = 20_000
DEAD_AFTER = timedelta(minutes=2)

_TRIAL = 1_000
_SIGMAS = 1.96

OnProgress = Callable[[int, int], None]
"""Told how many numbers have been gone through, and of how many."""


@dataclass(frozen=True, slots=True)
class Estimate:
    people: int
    audience: int
    """Everybody there is, about."""
    margin: int
    """In 95 of 100 cases the truth is not farther off; 0: this is the exact figure."""

    @property
    def is_exact(self) -> bool:
        return self.margin == 0


@dataclass(frozen=True, slots=True)
class _Sample:
    numbers: list[int]
    weight: int
    """How many people each of them stands for; 1: it is everybody."""


def estimate(session: Session, segment: Segmented) -> Estimate:
    sample = _sample(session)
    present, matching = _look_at(session, segment, sample.numbers)
    return Estimate(matching * sample.weight, present * sample.weight, _margin(matching, sample))


def some_people(session: Session, segment: Segmented, *, limit: int) -> list[Subscriber]:
    """A few of those whom the sample has; of a very small segment it may have none."""
    return list(
        session.scalars(
            select(Subscriber)
            .where(among(session, Subscriber.id, _sample(session).numbers), segment.holds)
            .limit(limit)
        )
    )


def ask_for_count(session: Session, segment_id: int, definition: str, *, now: datetime) -> None:
    """Have everybody counted, from the beginning even if a count is under way."""
    _, last = _range(session)
    row = locked(session, SegmentCount, segment_id)
    if row is None:
        row = SegmentCount(segment_id=segment_id, token=0)
        session.add(row)
    row.definition, row.token = definition, row.token + 1
    row.cursor, row.upto, row.people = 0, last, 0
    row.asked_at, row.alive_at, row.ended_at = now, None, None
    session.flush()


def count_waiting(engine: Engine, *, clock: Callable[[], datetime]) -> None:
    """Count whatever nobody counts, or somebody did who died."""
    while True:
        with reading(engine) as session:
            segment_id = session.scalar(
                select(SegmentCount.segment_id)
                .where(SegmentCount.ended_at.is_(None), _is_free(clock()))
                .order_by(SegmentCount.asked_at)
                .limit(1)
            )
        if segment_id is None:
            return
        count_exactly(engine, segment_id, clock=clock)


def count_exactly(
    engine: Engine,
    segment_id: int,
    *,
    clock: Callable[[], datetime],
    on_progress: OnProgress = lambda done, total: None,
) -> bool:
    """Count on from where it stands; False when somebody else does, or has taken over."""
    token = _claim(engine, segment_id, clock())
    while token is not None:
        with reading(engine) as session:
            row = session.get(SegmentCount, segment_id)
            if row is None or row.token != token:
                return False
            people = _people_of_slice(session, row)
        # Counted before the transaction: SQLite has one writer, who must not wait for that.
        cursor = min(row.cursor + SLICE, row.upto)
        is_over = cursor >= row.upto
        if not _move(engine, row, cursor, people, clock(), is_over=is_over):
            return False
        on_progress(cursor, row.upto)
        if is_over:
            return True
    return False


def _claim(engine: Engine, segment_id: int, now: datetime) -> int | None:
    with transaction(engine) as session:
        token: int | None = session.scalar(
            update(SegmentCount)
            .where(
                SegmentCount.segment_id == segment_id,
                SegmentCount.ended_at.is_(None),
                _is_free(now),
            )
            .values(token=SegmentCount.token + 1, alive_at=now)
            .returning(SegmentCount.token)
        )
    return token


def _move(
    engine: Engine, row: SegmentCount, cursor: int, people: int, now: datetime, *, is_over: bool
) -> bool:
    with transaction(engine) as session:
        moved = changed(
            session,
            update(SegmentCount)
            .where(
                SegmentCount.segment_id == row.segment_id,
                SegmentCount.token == row.token,
                SegmentCount.cursor == row.cursor,
            )
            .values(
                cursor=cursor,
                people=SegmentCount.people + people,
                alive_at=now,
                ended_at=now if is_over else None,
            ),
        )
    return moved == 1


def _people_of_slice(session: Session, row: SegmentCount) -> int:
    segment = segmented(session, row.definition, now=row.asked_at)
    people = session.scalar(
        select(func.count())
        .select_from(Subscriber)
        .where(
            segment.holds,
            Subscriber.id > row.cursor,
            Subscriber.id <= min(row.cursor + SLICE, row.upto),
        )
    )
    return people or 0


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(SegmentCount.alive_at.is_(None), SegmentCount.alive_at < now - DEAD_AFTER)


def _range(session: Session) -> tuple[int, int]:
    """The first and the last number that anybody has; the last is one less if nobody has any."""
    first, last = session.execute(
        select(func.coalesce(func.min(Subscriber.id), 1), func.coalesce(func.max(Subscriber.id), 0))
    ).one()
    return first, last


def _sample(session: Session) -> _Sample:
    first, last = _range(session)
    numbers = last - first + 1
    trial = _draw(first, numbers, _TRIAL)
    taken = session.scalar(select(func.count()).where(among(session, Subscriber.id, trial.numbers)))
    density = max(taken or 0, 1) / max(len(trial.numbers), 1)
    return _draw(first, numbers, min(math.ceil(SAMPLE / density), MOST_DRAWN))


def _draw(first: int, numbers: int, wanted: int) -> _Sample:
    """At least as many if there are so many, a few neighbours from each stratum, in order.

    The strata are of one size, or some people would be likelier to be drawn than others; the last
    may reach beyond whom there is.
    """
    chance = random.Random(wanted)  # noqa: S311  a sample, no secret, and the same every time
    weight = max(1, numbers // wanted)
    strata = math.ceil(numbers / (weight * NEIGHBOURS))
    blocks = [stratum * weight + chance.randrange(weight) for stratum in range(strata)]
    return _Sample(
        [first + block * NEIGHBOURS + place for block in blocks for place in range(NEIGHBOURS)],
        weight,
    )


def _margin(matching: int, sample: _Sample) -> int:
    if sample.weight == 1:
        return 0
    drawn = len(sample.numbers)
    share = matching / drawn
    # Of a share near none or all the sample tells no spread: one more of each is assumed.
    spread = math.sqrt(max(share * (1 - share), 1 / drawn) * drawn)
    return math.ceil(_SIGMAS * spread * sample.weight)


def _look_at(session: Session, segment: Segmented, numbers: list[int]) -> tuple[int, int]:
    """How many of these numbers somebody has, and how many of them are of the segment."""
    # Counted and not filtered: a filter would let the database begin with the conditions, and read
    # every delivery there is.
    present, matching = session.execute(
        select(func.count(), func.coalesce(func.sum(case((segment.holds, 1), else_=0)), 0)).where(
            among(session, Subscriber.id, numbers)
        )
    ).one()
    return int(present), int(matching)

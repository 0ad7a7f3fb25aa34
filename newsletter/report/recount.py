"""Compares figures with the rows that they count, and puts right what differs.

An edition whose deliveries were deleted in time has nothing left to be compared with, nor have its
figures: they stay. Counters of batches are the ledger's; they are compared and never changed here.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Engine,
    delete,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy.orm import Session

from newsletter.audience import figures as list_figures
from newsletter.db import reading, transaction
from newsletter.deliver.ending import keep_sums
from newsletter.models import (
    Batch,
    Delivery,
    Edition,
    EditionFigures,
    ExclusionFigures,
    HourFigures,
    IngestCursor,
    LinkFigures,
    Reason,
    StoryFigures,
)
from newsletter.report.counting import COUNTED_STATES, Counted, counted, hour_rows


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` names the figure for a person: `edition 12, link 3: clicks`."""

    what: str
    stored: int
    counted: int


def check_figures(engine: Engine, edition_ids: Collection[int] = ()) -> list[Difference]:
    """Of these editions, or of all that have their rows and of all lists. Changes nothing."""
    snapshot = engine.execution_options(isolation_level="REPEATABLE READ")
    chosen = snapshot if engine.dialect.name == "postgresql" else engine
    with reading(chosen) as session:
        found = [
            difference
            for edition_id in _countable(session, edition_ids)
            for difference in _differences(
                edition_id, stored(session, edition_id), counted(session, edition_id)
            )
        ]
        return found if edition_ids else [*found, *_list_differences(session)]


def mend_figures(engine: Engine, edition_ids: Collection[int] = ()) -> list[Difference]:
    """The same, and each figure is then what its rows say; those of batches stay."""
    found: list[Difference] = []
    with reading(engine) as session:
        editions = _countable(session, edition_ids)
    for edition_id in editions:
        with transaction(engine) as session:
            # Nobody adds to the figures meanwhile: the writer of events waits here, leavers there.
            session.execute(select(IngestCursor).with_for_update())
            session.execute(
                select(EditionFigures)
                .where(EditionFigures.edition_id == edition_id)
                .with_for_update()
            )
            right = counted(session, edition_id)
            found += _differences(edition_id, stored(session, edition_id), right)
            recount(session, edition_id, right)
    if not edition_ids:
        with transaction(engine) as session:
            found += _list_differences(session)
            list_figures.count_again(session)
    return found


def recount(session: Session, edition_id: int, right: Counted | None = None) -> None:
    """Write an edition's figures anew, from `right` or from what its rows say now."""
    right = right or counted(session, edition_id)
    rows: list[tuple[Any, list[dict[str, Any]]]] = [
        (EditionFigures, [dict(right.edition)]),
        (LinkFigures, [{"number": key, "clicks": n} for key, n in right.links.items()]),
        (StoryFigures, [{"story": key, "clickers": n} for key, n in right.stories.items()]),
        (ExclusionFigures, [{"reason": key, "people": n} for key, n in right.reasons.items()]),
        (HourFigures, hour_rows(session, edition_id)),
    ]
    for table, figures in rows:
        session.execute(delete(table).where(table.edition_id == edition_id))
        if figures:
            session.execute(
                insert(table), [{"edition_id": edition_id, **figure} for figure in figures]
            )
    if session.scalar(select(Edition.finished_at).where(Edition.id == edition_id)) is not None:
        keep_sums(session, [edition_id])
    session.expire_all()


def stored(session: Session, edition_id: int) -> Counted:
    figures = session.get(EditionFigures, edition_id, populate_existing=True)
    names = ("opens", "clicks", "clickers", "unsubscribes")
    sums = func.sum(HourFigures.opens), func.sum(HourFigures.clicks)
    is_kept = figures is not None and figures.people is not None
    return Counted(
        edition={name: getattr(figures, name) if figures else 0 for name in names},
        sums={name: getattr(figures, name) for name in COUNTED_STATES.values()} if is_kept else {},
        links=_pairs(session, LinkFigures.number, LinkFigures.clicks, edition_id),
        stories=_pairs(session, StoryFigures.story, StoryFigures.clickers, edition_id),
        reasons=_pairs(session, ExclusionFigures.reason, ExclusionFigures.people, edition_id),
        lists={
            list_id: (opens, clicks, unsubscribes)
            for list_id, opens, clicks, unsubscribes in session.execute(
                select(HourFigures.list_id, *sums, func.sum(HourFigures.unsubscribes))
                .where(HourFigures.edition_id == edition_id)
                .group_by(HourFigures.list_id)
            )
        },
        batches={
            (batch.number, state): getattr(batch, state)
            for batch in session.scalars(select(Batch).where(Batch.edition_id == edition_id))
            for state in COUNTED_STATES.values()
        },
    )


def _countable(session: Session, edition_ids: Collection[int]) -> list[int]:
    """Of those, or of all that have begun, the editions whose deliveries are still there."""
    begun = select(Edition.id).where(
        Edition.started_at.is_not(None), exists().where(Delivery.edition_id == Edition.id)
    )
    if edition_ids:
        begun = begun.where(Edition.id.in_(edition_ids))
    return list(session.scalars(begun.order_by(Edition.id)))


def _differences(edition_id: int, here: Counted, right: Counted) -> Iterator[Difference]:
    compared: list[tuple[str, Mapping[Any, int], Mapping[Any, int]]] = [
        ("", here.edition, right.edition),
        ("clicks of link ", here.links, right.links),
        ("readers of story ", here.stories, right.stories),
        ("excluded: ", _named(here.reasons), _named(right.reasons)),
        *(
            (f"hours' {name} by list ", _part(here.lists, place), _part(right.lists, place))
            for place, name in enumerate(("opens", "clicks", "unsubscribes"))
        ),
        ("", _batches(here.batches), _batches(right.batches)),
        ("sum of ", here.sums, _sums_like(here.sums, right)),
    ]
    for what, before, after in compared:
        for key in sorted(before.keys() | after.keys(), key=str):
            old, new = before.get(key, 0), after.get(key, 0)
            if old != new:
                yield Difference(f"edition {edition_id}, {what}{key}", old, new)


def _sums_like(kept: Mapping[str, int], right: Counted) -> dict[str, int]:
    """What the sums that are kept should be; none are while an edition is under way."""
    sums = Counter[str]()
    for (_, state), people in right.batches.items():
        sums[state] += people
    return {name: sums[name] for name in kept}


def _named(reasons: Mapping[Reason, int]) -> dict[str | int, int]:
    return {reason.name.lower(): people for reason, people in reasons.items()}


def _part(lists: Mapping[int, tuple[int, int, int]], place: int) -> dict[str | int, int]:
    return {list_id: sums[place] for list_id, sums in lists.items()}


def _batches(counts: Mapping[tuple[int, str], int]) -> dict[str | int, int]:
    return {f"batch {number}: {state}": people for (number, state), people in counts.items()}


def _list_differences(session: Session) -> Iterator[Difference]:
    for list_id, (here, right) in list_figures.compare(session).items():
        for name in ("confirmed", "pending"):
            before, after = getattr(here, name), getattr(right, name)
            if before != after:
                yield Difference(f"list {list_id}, {name}", before, after)


def _pairs(session: Session, key: Any, count: Any, edition_id: int) -> dict[Any, int]:
    table = key.class_
    return dict(session.execute(select(key, count).where(table.edition_id == edition_id)).all())

"""Saved segments: makes, edits, finds and deletes them, and pages through their people."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter.audience.fields import read_key, read_line, refuse
from newsletter.audience.segments.conditions import written
from newsletter.audience.segments.estimate import ask_for_count
from newsletter.audience.segments.query import Segmented, segmented
from newsletter.audience.subscribers import MOST_ON_A_PAGE, SubscriberPage
from newsletter.db import insert_or_ignore
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    Edition,
    EditionSegment,
    EditionState,
    Segment,
    SegmentCount,
    Subscriber,
)
from newsletter.queue import Job, enqueue_after_commit

LONGEST_DESCRIPTION = 500
_OVER = (EditionState.SENT, EditionState.CANCELLED)


@dataclass(frozen=True, slots=True)
class SegmentChanges:
    """What None leaves as it is."""

    definition: str | None = None
    description: str | None = None


def create_segment(
    session: Session,
    name: str,
    definition: str,
    *,
    description: str = "",
    created_by: str,
    now: datetime,
) -> Segment:
    """Raises `InputError`, of which `QueryError` is one."""
    made: Segment | None = session.scalar(
        insert_or_ignore(session, Segment)
        .values(
            name=read_key("name", name),
            description=_read_description(description),
            definition=_normal(session, definition, now),
            created_at=now,
            created_by=created_by,
            changed_at=now,
        )
        .returning(Segment)
    )
    if made is None:
        refuse("name", "there is a segment called {name} already; choose another one", name=name)
    return made


def edit_segment(session: Session, name: str, changes: SegmentChanges, *, now: datetime) -> Segment:
    """Editions that are approved keep to what was approved. Raises as `create_segment` does."""
    segment = segment_by_name(session, name)
    if changes.description is not None:
        segment.description = _read_description(changes.description)
    if changes.definition is not None:
        segment.definition = _normal(session, changes.definition, now)
    segment.changed_at = now
    session.flush()
    return segment


def rename_segment(session: Session, name: str, to: str, *, now: datetime) -> Segment:
    """Editions that nobody approved call it by its new name too. Raises `InputError`."""
    segment = segment_by_name(session, name)
    new = read_key("name", to)
    try:
        with session.begin_nested():
            segment.name, segment.changed_at = new, now
            session.flush()
    except IntegrityError:
        refuse("name", "there is a segment called {new} already; choose another one", new=new)
    session.execute(
        update(EditionSegment)
        .where(EditionSegment.segment_id == segment.id, EditionSegment.definition.is_(None))
        .values(name=new)
    )
    return segment


def delete_segment(session: Session, name: str) -> None:
    """Raises `StateError` while an edition uses it that is not over."""
    segment = segment_by_name(session, name)
    # Locked against an edition that begins to use it meanwhile.
    session.refresh(segment, with_for_update=True)
    users = editions_using(session, segment)
    if users:
        numbers = ", ".join(map(str, users))
        raise StateError(
            "The segment {name} is in use by what is not over yet: edition {numbers}.",
            name=name,
            numbers=numbers,
        )
    session.delete(segment)
    session.flush()


def segment_by_name(session: Session, name: str) -> Segment:
    found = session.scalar(select(Segment).where(Segment.name == name))
    if found is None:
        raise NotFoundError(
            "There is no segment called {name!r}; see: newsletter segment list", name=name
        )
    return found


def list_segments(session: Session, *, after: str = "", limit: int = 100) -> list[Segment]:
    """By name, from the one behind `after` on."""
    return list(
        session.scalars(
            select(Segment).where(Segment.name > after).order_by(Segment.name).limit(limit)
        )
    )


def editions_using(session: Session, segment: Segment) -> list[int]:
    """The editions that are narrowed by it and not over."""
    return list(
        session.scalars(
            select(EditionSegment.edition_id)
            .distinct()
            .join(Edition, Edition.id == EditionSegment.edition_id)
            .where(EditionSegment.segment_id == segment.id, Edition.state.not_in(_OVER))
            .order_by(EditionSegment.edition_id)
        )
    )


def people_of(
    session: Session, segment: Segmented, *, after: int = 0, limit: int = 100
) -> SubscriberPage:
    """Its people with a greater number than `after`, in order."""
    limit = max(1, min(limit, MOST_ON_A_PAGE))
    found = session.scalars(
        select(Subscriber)
        .where(segment.holds, Subscriber.id > after)
        .order_by(Subscriber.id)
        .limit(limit + 1)
    ).all()
    people = tuple(found[:limit])
    return SubscriberPage(people, people[-1].id if len(found) > limit else None)


def start_count(session: Session, segment: Segment, *, now: datetime) -> None:
    """Have a worker count it exactly."""
    ask_for_count(session, segment.id, segment.definition, now=now)
    enqueue_after_commit(session, Job.COUNT_SEGMENTS)


def exact_count(session: Session, segment: Segment) -> SegmentCount | None:
    """The count of it as it is now, under way or done; None: there is none."""
    count = session.get(SegmentCount, segment.id)
    return count if count is not None and count.definition == segment.definition else None


def _normal(session: Session, definition: str, now: datetime) -> str:
    return written(segmented(session, definition, now=now).condition)


def _read_description(text: str) -> str:
    return read_line("description", text, longest=LONGEST_DESCRIPTION, may_be_empty=True)

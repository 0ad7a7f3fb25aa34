"""Moves an edition from state to state; each step is one conditional UPDATE.

Zero rows changed means that somebody else was first, which is an answer and not an accident.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, update
from sqlalchemy.orm import Session

from newsletter.db import changed, insert_or_ignore
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    NO_BATCH,
    Batch,
    BatchState,
    Dispatch,
    Edition,
    EditionFigures,
    EditionState,
    LocalSchedule,
    Past,
    Wave,
    WaveHour,
    WaveZone,
)
from newsletter.models.partitions import ensure_delivery_partition
from newsletter.plan.timing import TZDATA
from newsletter.plan.waves import (
    DEADLINE,
    add_only_wave,
    add_sweep,
    compute_waves,
    divide,
    zones_in_use,
)
from newsletter.queue import Job, enqueue_after_commit
from newsletter.words import Words


def send_now(
    session: Session, edition_id: int, *, now: datetime, deadline: timedelta | None = None
) -> None:
    """Start sending an approved edition; whoever is not mailed before `deadline` is over is left out.

    Raises `StateError` when it is not approved.
    """
    _move(
        session,
        edition_id,
        to=EditionState.SENDING,
        since=[EditionState.APPROVED],
        started_at=now,
    )
    add_only_wave(session, edition_id, due_at=now, deadline=deadline)
    _open_ledger(session, edition_id, now)


def send_soon(
    session: Session,
    edition_id: int,
    *,
    now: datetime,
    cool_off: timedelta,
    deadline: timedelta | None = None,
) -> None:
    """As `send_now`, but nothing begins for as long as `cool_off`: so long `unschedule` undoes it."""
    held_until = now + cool_off
    _move(
        session,
        edition_id,
        to=EditionState.SCHEDULED,
        since=[EditionState.APPROVED],
        held_until=held_until,
    )
    add_only_wave(session, edition_id, due_at=held_until, deadline=deadline)


def send_at(
    session: Session,
    edition_id: int,
    at: datetime,
    *,
    now: datetime,
    deadline: timedelta = DEADLINE,
) -> None:
    """Schedule an approved edition for one instant, which may have passed by less than `deadline`.

    Raises `InputError` when it has passed by more, `StateError` when the edition is not approved.
    """
    if at + deadline <= now:
        raise InputError(
            "{at:%Y-%m-%d %H:%M %Z} is longer ago than the deadline: nobody would be mailed.", at=at
        )
    _move(session, edition_id, to=EditionState.SCHEDULED, since=[EditionState.APPROVED])
    add_only_wave(session, edition_id, due_at=at, deadline=deadline)
    add_sweep(session, edition_id)
    enqueue_after_commit(session, Job.PUMP)


def send_local(
    session: Session,
    edition_id: int,
    day: date,
    at: time,
    *,
    past: Past,
    now: datetime,
    deadline: timedelta = DEADLINE,
) -> None:
    """Schedule an approved edition for `at` on `day` in every reader's own time zone.

    Raises `InputError` when it is too late for that everywhere, `StateError` when the edition is
    not approved.
    """
    _move(session, edition_id, to=EditionState.SCHEDULED, since=[EditionState.APPROVED])
    zones = zones_in_use(session, edition_id)
    shares = divide(zones, day, at, past=past, deadline=deadline, now=now)
    if all(share.exclusion is not None for share in shares):
        raise InputError(
            "It is too late for {at:%H:%M} on {day} in every zone: nobody would be mailed.",
            at=at,
            day=day,
        )
    schedule = LocalSchedule(
        edition_id=edition_id,
        day=day,
        at=at,
        past=past,
        deadline_minutes=deadline // timedelta(minutes=1),
        made_at=now,
        tzdata=TZDATA,
        last_zone=0,
    )
    session.add(schedule)
    compute_waves(session, schedule, now=now)
    add_sweep(session, edition_id)
    enqueue_after_commit(session, Job.PUMP)


def start(session: Session, edition_id: int, *, now: datetime) -> bool:
    """Begin with a scheduled edition whose first wave is to be planned; False: it is not scheduled."""
    is_begun = _moved(
        session,
        edition_id,
        to=EditionState.SENDING,
        since=[EditionState.SCHEDULED],
        started_at=now,
    )
    if is_begun:
        _open_ledger(session, edition_id, now)
    return is_begun


def unschedule(session: Session, edition_id: int) -> None:
    """Take a schedule back before the first wave has begun; the edition stays approved."""
    _move(
        session,
        edition_id,
        to=EditionState.APPROVED,
        since=[EditionState.SCHEDULED, EditionState.PAUSED],
        condition=Edition.started_at.is_(None),
    )
    forget_schedule(session, edition_id)


def hold_back(session: Session, edition_id: int, *, until: datetime) -> None:
    """Nothing of a schedule begins before: so long `unschedule` undoes it."""
    session.execute(
        update(Edition)
        .where(Edition.id == edition_id)
        .values(held_until=until)
        .execution_options(synchronize_session=False)
    )


def forget_schedule(session: Session, edition_id: int) -> None:
    """Part of whatever makes an edition a draft again: what was approved is no longer to be sent."""
    for table in (WaveZone, WaveHour, Wave, LocalSchedule, Dispatch):
        session.execute(delete(table).where(table.edition_id == edition_id))
    session.execute(update(Edition).where(Edition.id == edition_id).values(held_until=None))


def pause(session: Session, edition_id: int) -> None:
    """Nothing new is claimed from now on; batches under way stop within seconds."""
    _move(
        session,
        edition_id,
        to=EditionState.PAUSED,
        since=[EditionState.SENDING, EditionState.SCHEDULED],
    )


def resume(session: Session, edition_id: int) -> None:
    """Go on where it was paused; a schedule that has not begun holds again."""
    is_waiting = _moved(
        session,
        edition_id,
        to=EditionState.SCHEDULED,
        since=[EditionState.PAUSED],
        condition=Edition.started_at.is_(None),
    )
    if not is_waiting:
        _move(session, edition_id, to=EditionState.SENDING, since=[EditionState.PAUSED])
    enqueue_after_commit(session, Job.PUMP)


def cancel(session: Session, edition_id: int) -> None:
    """Whoever was not mailed yet will not be; the pump writes that into their deliveries."""
    _move(
        session,
        edition_id,
        to=EditionState.CANCELLED,
        since=[
            EditionState.DRAFT,
            EditionState.IN_REVIEW,
            EditionState.APPROVED,
            EditionState.SCHEDULED,
            EditionState.SENDING,
            EditionState.PAUSED,
        ],
    )
    enqueue_after_commit(session, Job.PUMP)


def _open_ledger(session: Session, edition_id: int, now: datetime) -> None:
    ensure_delivery_partition(session, edition_id)
    session.execute(
        insert(Batch).values(
            edition_id=edition_id, number=NO_BATCH, state=BatchState.DONE, due_at=now
        )
    )
    session.execute(insert_or_ignore(session, EditionFigures).values(edition_id=edition_id))
    enqueue_after_commit(session, Job.PLAN_EDITION, edition_id=edition_id)


def _move(
    session: Session,
    edition_id: int,
    *,
    to: EditionState,
    since: Sequence[EditionState],
    condition: ColumnElement[bool] | None = None,
    **values: Any,
) -> None:
    if _moved(session, edition_id, to=to, since=since, condition=condition, **values):
        return
    edition = session.get(Edition, edition_id, populate_existing=True)
    if edition is None:
        raise NotFoundError("There is no edition {edition}.", edition=edition_id)
    message = Words(
        "Edition {edition} is {state}, so it cannot become {wanted}.",
        edition=edition_id,
        state=edition.state.words,
        wanted=to.words,
    )
    if edition.state is to:
        message = Words(
            "Edition {edition} is {wanted} already.", edition=edition_id, wanted=to.words
        )
    if edition.state in (EditionState.DRAFT, EditionState.IN_REVIEW):
        message = message.then("Approve it first.")
    if to is EditionState.APPROVED and edition.started_at is not None:
        message = message.then("It has begun: pause it, or cancel it.")
    if edition.state is EditionState.SCHEDULED:
        message = message.then(
            "First take its schedule back: newsletter edition unschedule {edition}",
            edition=edition_id,
        )
    raise StateError(message)


def _moved(
    session: Session,
    edition_id: int,
    *,
    to: EditionState,
    since: Sequence[EditionState],
    condition: ColumnElement[bool] | None = None,
    **values: Any,
) -> bool:
    conditions = () if condition is None else (condition,)
    move = (
        update(Edition)
        .where(Edition.id == edition_id, Edition.state.in_(since), *conditions)
        .values(state=to, **values)
    )
    return bool(changed(session, move))

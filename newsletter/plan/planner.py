"""Plans who gets an edition: one delivery a person, in slices, so that sending starts at once.

Each slice is one transaction that also moves the cursor of its wave: killed at any point, planning
goes on where the last slice ended, and two planners at once take turns on the edition's row.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from newsletter.db import transaction
from newsletter.models import (
    NO_BATCH,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Domain,
    Edition,
    EditionState,
    LocalSchedule,
    MailingList,
    Reason,
    Subscriber,
    Subscription,
    Wave,
    WaveHour,
    WaveZone,
    Zone,
)
from newsletter.plan.audience import Narrowing, narrowing_of
from newsletter.plan.exclusion import (
    break_reason,
    count_excluded,
    exclusion_reason,
    nothing_left_reason,
)
from newsletter.plan.hiding import hiding_of
from newsletter.plan.stored import get_edition, lists_of
from newsletter.plan.tiers import tier_for
from newsletter.plan.timing import rules_of
from newsletter.plan.waves import ONLY, day_of, is_time_to_plan, next_wave
from newsletter.queue import Job, enqueue_after_commit

SLICE = 20_000
BATCH = 1000

_Own = type[Wave]


@dataclass(frozen=True, slots=True)
class _Slice:
    """People of one list whom planning looks at for one wave: those behind `after`, up to `upto`."""

    edition: Edition
    wave: Wave
    mailing_list: MailingList
    later: Sequence[MailingList]
    after: int
    upto: int
    list_zone: int | None
    """None: the edition is due at the same instant everywhere."""
    day: date
    """Whoever takes a break beyond it gets nothing."""
    everything: int | None
    """Whoever hides all these sections of the list has nothing left of it."""
    narrowing: Narrowing
    tier: ColumnElement[Any]
    now: datetime


def plan_edition(engine: Engine, edition_id: int, *, now: datetime) -> None:
    """Plan whatever it is time for; a no-op for an edition that is not being sent."""
    while True:
        with transaction(engine) as session:
            if not plan_slice(session, edition_id, now=now):
                return


def plan_slice(
    session: Session, edition_id: int, *, now: datetime, slice_size: int = SLICE
) -> bool:
    """Plan the next people; False when it is not time to plan anybody, or nobody is left."""
    edition = get_edition(session, edition_id)
    is_under_way = edition.state in (EditionState.SENDING, EditionState.PAUSED)
    if not is_under_way or edition.started_at is None or edition.planned_at:
        return False
    wave = next_wave(session, edition_id)
    if wave is None:
        edition.planned_at = now
        enqueue_after_commit(session, Job.PUMP)  # a list without people is sent at once
        return False
    if not is_time_to_plan(wave, now):
        return False
    if wave.deadline_at is not None and wave.deadline_at <= now and wave.exclusion is None:
        wave.exclusion = Reason.TOO_LATE
    lists = lists_of(session, edition_id)
    if wave.plan_position == len(lists):
        wave.planned_at = now
        return True
    mailing_list, *later = lists[wave.plan_position :]
    last = _last_of_slice(session, wave, mailing_list, slice_size)
    if last is None:
        wave.plan_position += 1
        wave.plan_cursor = 0
        return True
    _plan_people(
        session,
        _Slice(
            edition,
            wave,
            mailing_list,
            later,
            after=wave.plan_cursor,
            upto=last,
            list_zone=_zone_of(session, edition_id, mailing_list),
            day=day_of(session, wave, mailing_list),
            everything=_everything_of(session, edition, mailing_list),
            narrowing=narrowing_of(session, edition, now=now),
            tier=tier_for(session, edition_id, now=now),
            now=now,
        ),
    )
    wave.plan_cursor = last
    if wave.due_at <= now:
        enqueue_after_commit(session, Job.DRAIN)
    return True


def _last_of_slice(
    session: Session, wave: Wave, mailing_list: MailingList, slice_size: int
) -> int | None:
    people = (
        select(Subscription.subscriber_id)
        .where(
            Subscription.list_id == mailing_list.id,
            Subscription.subscriber_id > wave.plan_cursor,
        )
        .order_by(Subscription.subscriber_id)
        .limit(slice_size)
    )
    hours = _hours_alone(session, wave)
    if hours:
        # A few among many, who have an index of their own.
        people = people.join(Subscriber, Subscriber.id == Subscription.subscriber_id).where(
            Subscriber.delivery_time.in_(hours)
        )
    last: int | None = session.scalar(select(func.max(people.subquery().c.subscriber_id)))
    return last


def _hours_alone(session: Session, wave: Wave) -> Sequence[time]:
    """The hours of a wave that holds only people who asked for them; else none."""
    if session.scalar(select(exists(_zones_of(wave)))):
        return ()
    return session.scalars(
        select(WaveHour.at)
        .where(WaveHour.edition_id == wave.edition_id, WaveHour.wave == wave.number)
        .distinct()
    ).all()


def _everything_of(session: Session, edition: Edition, mailing_list: MailingList) -> int | None:
    assert edition.approved_revision is not None
    hiding = hiding_of(session, edition.id, edition.approved_revision).get(mailing_list.id)
    return hiding.everything if hiding is not None else None


def _zone_of(session: Session, edition_id: int, mailing_list: MailingList) -> int | None:
    return session.scalar(
        select(Zone.id).where(
            Zone.name == rules_of(mailing_list.zone).key,
            exists().where(LocalSchedule.edition_id == edition_id),
        )
    )


def _plan_people(session: Session, planned: _Slice) -> None:
    edition = planned.edition
    first_batch = edition.last_batch + 1
    before = _excluded_of(session, planned)
    session.execute(
        insert(Delivery).from_select(
            ["edition_id", "subscriber_id", "list_id", "batch", "state", "attempts", "reason"],
            _deliveries(planned, first_batch),
        )
    )
    _make_batches(session, planned, first_batch)
    _count_exclusions(session, edition, _excluded_of(session, planned) - before)


def _deliveries(
    planned: _Slice, first_batch: int
) -> Select[int, int, int, int, int, int, Reason | None]:
    people = _placed(planned)
    # Numbers without holes, however few people share a place.
    rank = func.dense_rank().over(
        partition_by=people.c.is_excluded,
        order_by=(people.c.tier, people.c.route, people.c.wave, people.c.part),
    )
    return select(
        literal(planned.edition.id),
        people.c.subscriber_id,
        literal(planned.mailing_list.id),
        case((people.c.is_excluded, NO_BATCH), else_=first_batch - 1 + rank),
        case((people.c.is_excluded, int(DeliveryState.EXCLUDED)), else_=int(DeliveryState.WAITING)),
        literal(0),
        people.c.reason,
    ).order_by(people.c.subscriber_id)


def _placed(planned: _Slice) -> Any:
    """The slice's people, each with what a batch has but one of, and the part of these they are in."""
    people = _people(planned).subquery()
    is_excluded: ColumnElement[bool] = people.c.reason.is_not(None)
    place = func.row_number().over(
        partition_by=(is_excluded, people.c.tier, people.c.route, people.c.wave),
        order_by=people.c.subscriber_id,
    )
    return select(
        *people.c, is_excluded.label("is_excluded"), ((place - 1) // BATCH).label("part")
    ).subquery()


def _people(planned: _Slice) -> Select[int, int | None, int, int, int]:
    earlier, other = aliased(Delivery), aliased(Subscription)
    edition, mailing_list, wave = planned.edition, planned.mailing_list, planned.wave
    own = aliased(Wave)
    reason = func.coalesce(exclusion_reason(), nothing_left_reason(planned.everything))
    people = (
        select(
            Subscription.subscriber_id,
            func.coalesce(
                reason,
                break_reason(planned.day),
                planned.narrowing.reason,
                _exclusion_by_time(planned, own),
            ).label("reason"),
            planned.tier.label("tier"),
            Domain.route.label("route"),
            (own.number if wave.is_sweep else literal(wave.number)).label("wave"),
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .join(Domain, Domain.id == Subscriber.domain_id)
        .where(
            Subscription.list_id == mailing_list.id,
            Subscription.subscriber_id > planned.after,
            Subscription.subscriber_id <= planned.upto,
            planned.narrowing.admits,
            # A person of an earlier list, or wave, of this edition has their delivery already.
            ~exists().where(
                earlier.edition_id == edition.id,
                earlier.subscriber_id == Subscription.subscriber_id,
            ),
            # Whoever may not be mailed through this list may be through a later one.
            or_(
                reason.is_(None),
                ~exists().where(
                    other.list_id.in_([each.id for each in planned.later]),
                    other.subscriber_id == Subscription.subscriber_id,
                ),
            ),
        )
    )
    if wave.is_sweep:
        # Whoever joined after their own time waits for the next edition.
        return people.join(own, _is_own(planned, own)).where(Subscription.joined_at <= own.due_at)
    if planned.list_zone is not None:
        return people.where(_is_of_wave(planned, planned.list_zone))
    return people


def _is_of_wave(planned: _Slice, list_zone: int) -> ColumnElement[bool]:
    # Most people have no hour of their own; for them it is a look into a short list.
    has_hour = Subscriber.delivery_time.is_not(None)
    return or_(
        and_(~has_hour, _zone(planned, list_zone).in_(_zones_of(planned.wave))),
        and_(has_hour, _own_number(planned, list_zone) == planned.wave.number),
    )


def _exclusion_by_time(planned: _Slice, own: _Own) -> ColumnElement[Any]:
    """The reason why somebody who may be mailed is not: it is too late, where they live."""
    if not planned.wave.is_sweep:
        reason = planned.wave.exclusion
        return null() if reason is None else literal(int(reason))
    return case(
        (own.exclusion.is_not(None), own.exclusion),
        (own.deadline_at <= planned.now, int(Reason.ZONE_PAST)),
        else_=None,
    )


def _is_own(planned: _Slice, own: _Own) -> ColumnElement[bool]:
    """`own` is the wave that the subscriber would have been in."""
    of_edition = own.edition_id == planned.edition.id
    if planned.list_zone is None:
        return and_(of_edition, own.number == ONLY)
    return and_(of_edition, own.number == _own_number(planned, planned.list_zone))


def _own_number(planned: _Slice, list_zone: int) -> ColumnElement[int]:
    """Of the wave of the hour that the subscriber asked for, else of their zone's."""
    zone = _zone(planned, list_zone)
    by_hour = select(WaveHour.wave).where(
        WaveHour.edition_id == planned.edition.id,
        WaveHour.zone_id == zone,
        WaveHour.at == Subscriber.delivery_time,
    )
    by_zone = select(WaveZone.wave).where(
        WaveZone.edition_id == planned.edition.id, WaveZone.zone_id == zone
    )
    return func.coalesce(by_hour.scalar_subquery(), by_zone.scalar_subquery())


def _zone(planned: _Slice, list_zone: int) -> ColumnElement[int | None]:
    """The subscriber's; the list's when they have none, or one that is gone."""
    known = select(WaveZone.zone_id).where(WaveZone.edition_id == planned.edition.id)
    return case((Subscriber.zone_id.in_(known), Subscriber.zone_id), else_=list_zone)


def _zones_of(wave: Wave) -> Select[int]:
    return select(WaveZone.zone_id).where(
        WaveZone.edition_id == wave.edition_id, WaveZone.wave == wave.number
    )


def _make_batches(session: Session, planned: _Slice, first_batch: int) -> None:
    """Batches are alike throughout, so that each is described by its first subscriber."""
    edition, wave, own = planned.edition, planned.wave, aliased(Wave)
    counted = (
        select(
            Delivery.batch,
            func.count().label("people"),
            func.min(Delivery.subscriber_id).label("first"),
        )
        .where(Delivery.edition_id == edition.id, Delivery.batch >= first_batch)
        .group_by(Delivery.batch)
        .subquery()
    )
    deadline = (
        own.deadline_at if wave.is_sweep else literal(wave.deadline_at, Batch.deadline_at.type)
    )
    batches = (
        select(
            literal(edition.id),
            counted.c.batch,
            literal(int(BatchState.READY)),
            literal(wave.number),
            literal(max(wave.due_at, planned.now), Batch.due_at.type),
            deadline,
            Domain.route,
            planned.tier,
            counted.c.people,
        )
        .join(Subscriber, Subscriber.id == counted.c.first)
        .join(
            Subscription,
            and_(
                Subscription.list_id == planned.mailing_list.id,
                Subscription.subscriber_id == counted.c.first,
            ),
        )
        .join(Domain, Domain.id == Subscriber.domain_id)
    )
    if wave.is_sweep:
        batches = batches.join(own, _is_own(planned, own))
    session.execute(
        insert(Batch).from_select(
            [
                "edition_id",
                "number",
                "state",
                "wave",
                "due_at",
                "deadline_at",
                "route",
                "tier",
                "people",
            ],
            batches,
        )
    )
    newest = session.scalar(select(func.max(Batch.number)).where(Batch.edition_id == edition.id))
    edition.last_batch = newest or 0


def _excluded_of(session: Session, planned: _Slice) -> Counter[Reason]:
    """Of the slice's people: how many are excluded by now, in this wave or an earlier one."""
    rows = session.execute(
        select(Delivery.reason, func.count())
        .where(
            Delivery.edition_id == planned.edition.id,
            Delivery.list_id == planned.mailing_list.id,
            Delivery.subscriber_id > planned.after,
            Delivery.subscriber_id <= planned.upto,
            Delivery.batch == NO_BATCH,
        )
        .group_by(Delivery.reason)
    )
    return Counter({reason: people for reason, people in rows if reason is not None})


def _count_exclusions(session: Session, edition: Edition, excluded: Counter[Reason]) -> None:
    if not excluded:
        return
    # In one order everywhere: workers write to the same figures.
    for reason in sorted(excluded):
        count_excluded(session, edition.id, reason, excluded[reason])
    total = excluded.total()
    session.execute(
        update(Batch)
        .where(Batch.edition_id == edition.id, Batch.number == NO_BATCH)
        .values(people=Batch.people + total, excluded=Batch.excluded + total)
    )

"""The newest editions, reader by reader: their deliveries, and what readers did with them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from newsletter.models import (
    NO_BATCH,
    Attempt,
    Batch,
    BatchState,
    Delivery,
    DeliveryState,
    Edition,
    Engagement,
    Event,
    EventKind,
    Link,
    MailingList,
    Reason,
    ReplyClass,
    Subscription,
    SubscriptionStatus,
    Wave,
)
from newsletter.models.partitions import ensure_delivery_partition, ensure_event_partition
from newsletter.plan.planner import BATCH
from newsletter.plan.waves import ONLY
from newsletter.report.recount import recount
from newsletter.seed.people import SUPPRESSED_EACH
from newsletter.track.events import NO_LINK

_SPREAD = 2**31
_OF = 10_000
_FAILED, _UNCERTAIN = 40, 42
_OPEN, _CLICK, _CLICK_AGAIN, _LEAVE = 4_000, 900, 200, 5
_DELAYS = (
    *(timedelta(minutes=minutes) for minutes in range(1, 60, 2)),
    *(timedelta(minutes=minutes) for minutes in range(62, 120, 6)),
    *(timedelta(minutes=minutes) for minutes in range(125, 300, 20)),
    *(timedelta(hours=hours) for hours in (*range(5, 16), *range(6, 12), *range(16, 24))),
    *(timedelta(hours=hours) for hours in (26, 30, 36, 50, 75, 100, 130)),
)
"""How long readers take: from its many ends one is drawn as likely as the other."""


def make_deliveries(
    session: Session, edition_id: int, mailing_list: MailingList, at: datetime, *, now: datetime
) -> None:
    """Everybody of the list, with what became of their mail; the figures are counted from that."""
    ensure_delivery_partition(session, edition_id)
    _plan(session, edition_id, mailing_list, at)
    _make_batches(session, edition_id, at)
    _note_failures(session, edition_id, at)
    _engage(session, edition_id, at, now)
    _leave(session, edition_id, at, now)
    recount(session, edition_id)


def _plan(session: Session, edition_id: int, mailing_list: MailingList, at: datetime) -> None:
    person = Subscription.subscriber_id
    lot = _chance(person, edition_id)
    reason = case(
        (person % SUPPRESSED_EACH == 0, int(Reason.SUPPRESSED)),
        (Subscription.status == SubscriptionStatus.UNSUBSCRIBED, int(Reason.UNSUBSCRIBED)),
        (Subscription.status == SubscriptionStatus.PENDING, int(Reason.UNCONFIRMED)),
        else_=None,
    )
    people = (
        select(person.label("person"), reason.label("reason"), lot.label("lot"))
        .where(Subscription.list_id == mailing_list.id)
        .subquery()
    )
    is_out = people.c.reason.is_not(None)
    place = func.row_number().over(partition_by=is_out, order_by=people.c.person)
    state = case(
        (is_out, int(DeliveryState.EXCLUDED)),
        (people.c.lot < _FAILED, int(DeliveryState.FAILED)),
        (people.c.lot < _UNCERTAIN, int(DeliveryState.UNCERTAIN)),
        else_=int(DeliveryState.SENT),
    )
    is_sent = and_(~is_out, people.c.lot >= _UNCERTAIN)
    columns: dict[str, Any] = {
        "edition_id": literal(edition_id),
        "subscriber_id": people.c.person,
        "list_id": literal(mailing_list.id),
        "batch": case((is_out, NO_BATCH), else_=1 + (place - 1) // BATCH),
        "state": state,
        "attempts": case((is_out, 0), else_=1),
        "revision": case((is_sent, 1), else_=None),
        "code": case((is_sent, 250), (people.c.lot < _FAILED, 550), else_=None),
        "reason": case(
            (is_out, people.c.reason),
            (people.c.lot < _FAILED, int(Reason.REFUSED)),
            (people.c.lot < _UNCERTAIN, int(Reason.ANSWER_LOST)),
            else_=None,
        ),
        "sent_at": case((is_sent, literal(at, Delivery.sent_at.type)), else_=null()),
    }
    _insert(session, Delivery, columns, select(*columns.values()).order_by(people.c.person))


def _make_batches(session: Session, edition_id: int, at: datetime) -> None:
    session.add(Wave(edition_id=edition_id, number=ONLY, due_at=at, planned_at=at))
    session.flush()

    def people_who(state: DeliveryState) -> ColumnElement[int]:
        return func.sum(case((Delivery.state == state, 1), else_=0))

    columns: dict[str, Any] = {
        "edition_id": literal(edition_id),
        "number": Delivery.batch,
        "state": literal(BatchState.DONE, Batch.state.type),
        "wave": case((Delivery.batch == NO_BATCH, 0), else_=ONLY),
        "due_at": literal(at, Batch.due_at.type),
        "revision": literal(1),
        "people": func.count(),
        "sent": people_who(DeliveryState.SENT),
        "failed": people_who(DeliveryState.FAILED),
        "uncertain": people_who(DeliveryState.UNCERTAIN),
        "excluded": people_who(DeliveryState.EXCLUDED),
        **dict.fromkeys(
            ("deferred", "cancelled", "lease_token", "route", "tier", "intent_upto"), literal(0)
        ),
    }
    rows = (
        select(*columns.values()).where(Delivery.edition_id == edition_id).group_by(Delivery.batch)
    )
    _insert(session, Batch, columns, rows)
    last = select(func.max(Batch.number)).where(Batch.edition_id == edition_id)
    session.execute(
        update(Edition).where(Edition.id == edition_id).values(last_batch=last.scalar_subquery())
    )


def _note_failures(session: Session, edition_id: int, at: datetime) -> None:
    is_failed = Delivery.state == DeliveryState.FAILED
    columns: dict[str, Any] = {
        "edition_id": Delivery.edition_id,
        "subscriber_id": Delivery.subscriber_id,
        "at": literal(at, Attempt.at.type),
        "state": Delivery.state,
        "reason": Delivery.reason,
        "code": Delivery.code,
        "enhanced": case((is_failed, "5.1.1"), else_=None),
        "reply": case((is_failed, "No such user here"), else_=""),
        "reply_class": case(
            (is_failed, literal(ReplyClass.HARD_BAD_MAILBOX, Attempt.reply_class.type)),
            else_=None,
        ),
    }
    rows = select(*columns.values()).where(
        Delivery.edition_id == edition_id,
        Delivery.state.in_((DeliveryState.FAILED, DeliveryState.UNCERTAIN)),
    )
    _insert(session, Attempt, columns, rows)


def _engage(session: Session, edition_id: int, at: datetime, now: datetime) -> None:
    links = session.scalars(
        select(Link.number).where(Link.edition_id == edition_id).order_by(Link.number)
    ).all()
    person = Delivery.subscriber_id
    which = case(
        *(
            (_chance(person, 71) < round(_OF * (place / len(links)) ** 0.6), number)
            for place, number in enumerate(links[:-1], start=1)
        ),
        else_=links[-1],
    )
    other = case((which == links[0], links[-1]), else_=links[0])
    lot = _chance(person, 13 + edition_id)
    for link, most, salt in (
        (literal(NO_LINK), _OPEN, 3),
        (which, _CLICK, 5),
        (other, _CLICK_AGAIN, 7),
    ):
        columns: dict[str, Any] = {
            "edition_id": literal(edition_id),
            "subscriber_id": person,
            "link": link,
            "first_at": _some_time(person, salt + edition_id, at, now),
            "times": literal(1),
        }
        rows = select(*columns.values()).where(
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.SENT,
            lot < most,
        )
        _insert(session, Engagement, columns, rows)
    _make_events(session, edition_id, at, now)


def _make_events(session: Session, edition_id: int, at: datetime, now: datetime) -> None:
    for delay in _DELAYS:
        ensure_event_partition(session, min(at + delay, now))
    is_open = Engagement.link == NO_LINK
    columns: dict[str, Any] = {
        "at": Engagement.first_at,
        "sequence": literal(f"seed-{edition_id}-", String)
        + cast(Engagement.subscriber_id, String)
        + literal("-", String)
        + cast(Engagement.link, String),
        "edition_id": Engagement.edition_id,
        "subscriber_id": Engagement.subscriber_id,
        "kind": case((is_open, int(EventKind.OPEN)), else_=int(EventKind.CLICK)),
        "link": case((is_open, None), else_=Engagement.link),
    }
    rows = select(*columns.values()).where(Engagement.edition_id == edition_id)
    _insert(session, Event, columns, rows)


def _leave(session: Session, edition_id: int, at: datetime, now: datetime) -> None:
    """Some unsubscribe by a link of it, and are not on its list any more."""
    person = Delivery.subscriber_id
    those = (
        Delivery.edition_id == edition_id,
        Delivery.state == DeliveryState.SENT,
        _chance(person, 29 + edition_id) < _LEAVE,
    )
    left_at = _some_time(person, 31, at, now)
    columns: dict[str, Any] = {
        "at": left_at,
        "sequence": literal("unsubscribe-", String)
        + cast(Delivery.list_id, String)
        + literal("-", String)
        + cast(person, String),
        "edition_id": literal(edition_id),
        "subscriber_id": person,
        "kind": literal(int(EventKind.UNSUBSCRIBE)),
    }
    _insert(session, Event, columns, select(*columns.values()).where(*those))
    gone = select(person).where(*those)
    here = select(Delivery.list_id).where(Delivery.edition_id == edition_id).limit(1)
    session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == here.scalar_subquery(),
            Subscription.subscriber_id.in_(gone),
        )
        .values(
            status=SubscriptionStatus.UNSUBSCRIBED,
            left_at=_some_time(Subscription.subscriber_id, 31, at, now),
        )
        .execution_options(synchronize_session=False)
    )


def _some_time(person: Any, salt: int, at: datetime, now: datetime) -> ColumnElement[Any]:
    """One of the delays after `at`, but not in the future."""
    moments: Sequence[ColumnElement[Any]] = [
        literal(min(at + delay, now), Engagement.first_at.type) for delay in _DELAYS
    ]
    lot = _chance(person, salt)
    step = _OF / len(moments)
    return case(
        *(
            (lot < round(step * place), moment)
            for place, moment in enumerate(moments[:-1], start=1)
        ),
        else_=moments[-1],
    )


def _chance(number: Any, salt: int) -> ColumnElement[int]:
    """Below `_OF`, as if by chance and the same every time."""
    factor = 2_654_435_761 + 2 * 1_299_709 * salt
    drawn: ColumnElement[int] = cast(number * factor % _SPREAD // 65_536 % _OF, Integer)
    return drawn


def _insert(session: Session, table: type[Any], columns: dict[str, Any], rows: Select[Any]) -> None:
    session.execute(insert(table).from_select(list(columns), rows, include_defaults=False))

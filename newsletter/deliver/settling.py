"""Settles deliveries in doubt: by evidence, by a person's word, or by the policy of their list.

Settled to be sent, a delivery stays where it is; settled to be sent again, it waits in a new batch,
released and put there in one transaction, and its message keeps its Message-ID and its Date.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Engine,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from newsletter.db import among, insert_or_ignore, reading, transaction
from newsletter.deliver.ending import refresh_sums
from newsletter.deliver.ledger import Lease
from newsletter.deliver.rebatching import rebatch
from newsletter.errors import StateError
from newsletter.models import (
    Attempt,
    Batch,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    Evidence,
    MailingList,
    OnUncertain,
    Reason,
    Settlement,
)
from newsletter.plan.stored import get_edition
from newsletter.queue import Job, enqueue_after_commit

logger = logging.getLogger(__name__)

BELIEVED_AFTER = timedelta(hours=72)
"""So long without a word to the contrary, and a delivery in doubt is taken for sent."""
RESENT_AFTER = timedelta(minutes=5)
"""Where a list wants it: time enough for a worker's journal to turn up, and for a reader's open."""
OLDEST_DOUBT = timedelta(days=30)
DOUBTS_AT_ONCE = 500


def settle_by_evidence(
    session: Session,
    edition_id: int,
    subscriber_ids: Sequence[int],
    kind: Evidence,
    at: datetime,
    *,
    by: str | None = None,
) -> int:
    """Their messages were taken: whoever of them is in doubt is sent. Returns how many were.

    One look by primary key, and nothing more where nobody is in doubt.
    """
    doubted = _doubted(session, edition_id, subscriber_ids)
    if not doubted:
        return 0
    people = list(doubted)
    went_out_at = (
        select(func.max(Attempt.at))
        .where(
            Attempt.edition_id == edition_id,
            Attempt.subscriber_id == Delivery.subscriber_id,
            Attempt.state == DeliveryState.UNCERTAIN,
        )
        .scalar_subquery()
    )
    session.execute(
        update(Delivery)
        .where(Delivery.edition_id == edition_id, among(session, Delivery.subscriber_id, people))
        .values(state=DeliveryState.SENT, reason=None, sent_at=func.coalesce(went_out_at, at)),
        execution_options={"synchronize_session": False},
    )
    for number, count in sorted(Counter(doubted.values()).items()):
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition_id, Batch.number == number)
            .values(uncertain=Batch.uncertain - count, sent=Batch.sent + count)
        )
    refresh_sums(session, edition_id)
    _note(session, edition_id, people, DeliveryState.SENT, kind, at, by)
    return len(people)


def send_again(
    session: Session,
    edition_id: int,
    subscriber_ids: Sequence[int],
    kind: Evidence,
    at: datetime,
    *,
    by: str | None = None,
) -> int:
    """Whoever of them is in doubt is mailed once more. Returns how many will be.

    An edition that was over is under way again. Raises `StateError` for a cancelled one.
    """
    if not subscriber_ids:
        return 0
    edition = get_edition(session, edition_id)
    if edition.state is EditionState.CANCELLED:
        raise StateError(
            "Edition {edition} is cancelled; nobody is sent it any more.", edition=edition_id
        )
    people = list(_doubted(session, edition_id, subscriber_ids))
    if not people:
        return 0
    _keep_date(session, edition_id, people)
    last_batch = edition.last_batch
    rebatch(session, edition, people, since=DeliveryState.UNCERTAIN, due_at=at)
    # It was in time when it went out first, and who decides it now has the clock before them.
    session.execute(
        update(Batch)
        .where(Batch.edition_id == edition_id, Batch.number > last_batch)
        .values(deadline_at=None)
    )
    _note(session, edition_id, people, DeliveryState.WAITING, kind, at, by)
    if edition.state is EditionState.SENT:
        edition.state = EditionState.SENDING
        edition.finished_at = None
    enqueue_after_commit(session, Job.DRAIN)
    return len(people)


def clear_the_unsent(session: Session, lease: Lease, *, went_out: set[int], at: datetime) -> int:
    """The journal of a claim that was doubted as a whole is found: it names all whose content went
    out, and whoever else is in doubt under that claim waits again. Returns how many.
    """
    doubted = session.scalars(
        select(Attempt.subscriber_id)
        .join(Delivery, _same_delivery())
        .where(
            Attempt.edition_id == lease.edition_id,
            Attempt.lease_token == lease.token,
            Attempt.state == DeliveryState.UNCERTAIN,
            Attempt.reason == Reason.WORKER_DIED,
            Delivery.batch == lease.batch,
            Delivery.state == DeliveryState.UNCERTAIN,
        )
    ).all()
    if not set(doubted) - went_out:
        return 0
    edition = get_edition(session, lease.edition_id)
    unsent = list(_doubted(session, edition.id, sorted(set(doubted) - went_out)))
    rebatch(session, edition, unsent, since=DeliveryState.UNCERTAIN, due_at=at)
    _note(session, edition.id, unsent, DeliveryState.WAITING, Evidence.JOURNAL, at, by=None)
    if edition.state is EditionState.SENT:
        edition.state = EditionState.SENDING
    edition.finished_at = None  # a cancelled one's too: the pump then cancels these people
    enqueue_after_commit(session, Job.DRAIN)
    return len(unsent)


def settle_by_policy(engine: Engine, *, now: datetime) -> int:
    """Send again what a list wants to be sent again, once; believe what was long not contradicted.

    Returns how many deliveries were settled.
    """
    settled = 0
    with reading(engine) as session:
        resent = _by_edition(session, _to_resend(now))
        believed = _by_edition(session, _doubts(now, older_than=BELIEVED_AFTER))
    for edition_id, people in resent.items():
        with transaction(engine) as session:
            settled += send_again(session, edition_id, people, Evidence.POLICY, now)
    for edition_id, people in believed.items():
        with transaction(engine) as session:
            settled += settle_by_evidence(session, edition_id, people, Evidence.POLICY, now)
    if settled:
        logger.info("doubts settled by policy", extra={"deliveries": settled})
    return settled


def _doubted(session: Session, edition_id: int, people: Sequence[int]) -> dict[int, int]:
    """Those of `people` who are in doubt, with their batches; their rows are locked, in order."""
    rows = session.execute(
        select(Delivery.subscriber_id, Delivery.batch)
        .where(
            Delivery.edition_id == edition_id,
            Delivery.state == DeliveryState.UNCERTAIN,
            among(session, Delivery.subscriber_id, people),
        )
        .order_by(Delivery.subscriber_id)
        .with_for_update()
    )
    return {row.subscriber_id: row.batch for row in rows}


def _doubts(now: datetime, *, older_than: timedelta) -> Select[int, int]:
    return (
        select(Attempt.edition_id, Attempt.subscriber_id)
        .join(Delivery, _same_delivery())
        .where(
            Attempt.state == DeliveryState.UNCERTAIN,
            Attempt.at > now - OLDEST_DOUBT,
            Attempt.at <= now - older_than,
            Delivery.state == DeliveryState.UNCERTAIN,
        )
        .order_by(Attempt.at)
        .limit(DOUBTS_AT_ONCE)
    )


def _to_resend(now: datetime) -> Select[int, int]:
    was_resent = exists().where(
        Settlement.edition_id == Attempt.edition_id,
        Settlement.subscriber_id == Attempt.subscriber_id,
        Settlement.state == DeliveryState.WAITING,
        Settlement.evidence == Evidence.POLICY,
    )
    return (
        _doubts(now, older_than=RESENT_AFTER)
        .join(MailingList, MailingList.id == Delivery.list_id)
        .join(Edition, Edition.id == Delivery.edition_id)
        .join(Batch, and_(Batch.edition_id == Edition.id, Batch.number == Delivery.batch))
        .where(
            or_(Batch.deadline_at.is_(None), Batch.deadline_at > now),
            MailingList.on_uncertain == OnUncertain.RESEND,
            Attempt.at > now - BELIEVED_AFTER,
            Edition.state != EditionState.CANCELLED,
            ~was_resent,
        )
    )


def _same_delivery() -> ColumnElement[bool]:
    return and_(
        Delivery.edition_id == Attempt.edition_id,
        Delivery.subscriber_id == Attempt.subscriber_id,
    )


def _by_edition(session: Session, doubts: Select[int, int]) -> dict[int, list[int]]:
    people = defaultdict[int, list[int]](list)
    for edition_id, subscriber_id in session.execute(doubts):
        people[edition_id].append(subscriber_id)
    return people


def _keep_date(session: Session, edition_id: int, people: Sequence[int]) -> None:
    """The Date that went out, as near as it is known: when the first attempt was recorded."""
    tried = session.execute(
        select(Attempt.subscriber_id, func.min(Attempt.at))
        .where(
            Attempt.edition_id == edition_id,
            among(session, Attempt.subscriber_id, people),
        )
        .group_by(Attempt.subscriber_id)
    ).all()
    rows = [
        {
            "edition_id": edition_id,
            "subscriber_id": subscriber_id,
            "first_at": at.replace(microsecond=0),
            "next_at": None,
        }
        for subscriber_id, at in tried
    ]
    if rows:
        session.execute(insert_or_ignore(session, Deferral), rows)


def _note(
    session: Session,
    edition_id: int,
    people: Sequence[int],
    state: DeliveryState,
    kind: Evidence,
    at: datetime,
    by: str | None,
) -> None:
    session.execute(
        insert(Settlement),
        [
            {
                "edition_id": edition_id,
                "subscriber_id": subscriber_id,
                "at": at,
                "state": state,
                "evidence": kind,
                "by": by,
            }
            for subscriber_id in people
        ],
    )

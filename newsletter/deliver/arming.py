"""Lets a database send again that was restored from a backup, once it knows what this host sent.

The journals of the last two days name everybody whose message went out. What the restored database
takes for waiting is put right by them, so that nobody is mailed twice; an edition that it takes for
not begun, or does not know at all, is cancelled, and its number stays taken for the sake of the
links that are out.
"""

import secrets
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from newsletter.db import among, transaction
from newsletter.deliver import epoch
from newsletter.deliver.ending import refresh_sums
from newsletter.deliver.journal import sent_since
from newsletter.deliver.outcome import Reply
from newsletter.deliver.recovery import recover
from newsletter.models import (
    THE_ONE,
    Attempt,
    Batch,
    Deferral,
    Delivery,
    DeliveryState,
    Edition,
    EditionState,
    Evidence,
    Installation,
    Reason,
    Settlement,
)
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.plan.stored import get_edition

_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN = (DeliveryState.WAITING, DeliveryState.DEFERRED, DeliveryState.UNCERTAIN)


@dataclass(frozen=True, slots=True)
class Armed:
    """What the journals knew and the database did not."""

    sent: int
    uncertain: int
    cancelled: tuple[int, ...]
    """Editions that had been mailed to somebody, and that the database takes for not begun."""


def arm(engine: Engine, folder: Path, *, by: str, now: datetime) -> Armed:
    """Put the database right by this host's journals, then let it send. May be done again."""
    recover(engine, folder, now=now)
    sent = uncertain = 0
    cancelled = []
    for edition_id, answers in sorted(_answers(folder).items()):
        if _cancel_unless_begun(engine, edition_id, now):
            cancelled.append(edition_id)
            continue
        plan_edition(engine, edition_id, now=now)
        with transaction(engine) as session:
            get_edition(session, edition_id)
            taken = {each: code for each, code in answers.items() if code is not None}
            sent += _settle(session, edition_id, taken, DeliveryState.SENT, by=by, now=now)
            lost = dict.fromkeys(answers.keys() - taken.keys())
            uncertain += _settle(session, edition_id, lost, DeliveryState.UNCERTAIN, by=by, now=now)
    _allow(engine, folder)
    return Armed(sent, uncertain, tuple(cancelled))


def _answers(folder: Path) -> dict[int, dict[int, int | None]]:
    """By edition and subscriber: the code that took the message, None where no answer is known.

    Whoever was refused got nothing and is not among them.
    """
    found = defaultdict[int, dict[int, int | None]](dict)
    for each in sent_since(folder, _EVER):
        was_taken = each.code is not None and Reply(each.code, None, "").is_positive
        if was_taken:
            found[each.edition_id][each.subscriber_id] = each.code
        elif each.code is None:
            found[each.edition_id].setdefault(each.subscriber_id, None)
    return found


def _cancel_unless_begun(engine: Engine, edition_id: int, now: datetime) -> bool:
    with transaction(engine) as session:
        edition = session.get(Edition, edition_id)
        if edition is None:
            session.add(
                Edition(
                    id=edition_id,
                    public_id=secrets.token_urlsafe(16),
                    state=EditionState.CANCELLED,
                    revision=0,
                    created_at=now,
                    finished_at=now,
                )
            )
            return True
        if edition.started_at is not None:
            return False
        if edition.state is not EditionState.CANCELLED:
            schedule.cancel(session, edition_id)
        return True


def _settle(
    session: Session,
    edition_id: int,
    answers: Mapping[int, int | None],
    state: DeliveryState,
    *,
    by: str,
    now: datetime,
) -> int:
    """Bring to `state` whoever may still be mailed, or is in doubt; returns how many."""
    open_states = [each for each in _OPEN if each is not state]
    rows = session.execute(
        select(Delivery.subscriber_id, Delivery.batch, Delivery.state)
        .where(
            Delivery.edition_id == edition_id,
            Delivery.state.in_(open_states),
            among(session, Delivery.subscriber_id, list(answers)),
        )
        .order_by(Delivery.subscriber_id)
        .with_for_update()
    ).all()
    if not rows:
        return 0
    people = [row.subscriber_id for row in rows]
    _write(session, edition_id, answers, people, state, now)
    _count(session, edition_id, Counter((row.batch, row.state) for row in rows), state)
    refresh_sums(session, edition_id)
    session.execute(
        delete(Deferral).where(
            Deferral.edition_id == edition_id, among(session, Deferral.subscriber_id, people)
        )
    )
    common = {"edition_id": edition_id, "at": now, "state": state}
    if state is DeliveryState.UNCERTAIN:
        tried = common | {"reason": Reason.WORKER_DIED, "reply": ""}
        session.execute(insert(Attempt), [tried | {"subscriber_id": each} for each in people])
    else:
        settled = common | {"evidence": Evidence.JOURNAL, "by": by}
        session.execute(insert(Settlement), [settled | {"subscriber_id": each} for each in people])
    return len(people)


def _write(
    session: Session,
    edition_id: int,
    answers: Mapping[int, int | None],
    people: Sequence[int],
    state: DeliveryState,
    now: datetime,
) -> None:
    approved = select(Edition.approved_revision).where(Edition.id == edition_id).scalar_subquery()
    is_sent = state is DeliveryState.SENT
    for code in {answers[each] for each in people}:
        those = [each for each in people if answers[each] == code]
        session.execute(
            update(Delivery)
            .where(Delivery.edition_id == edition_id, among(session, Delivery.subscriber_id, those))
            .values(
                state=state,
                code=code,
                reason=None if is_sent else Reason.WORKER_DIED,
                attempts=Delivery.attempts + 1,
                revision=func.coalesce(Delivery.revision, approved),
                sent_at=now if is_sent else None,
            ),
            execution_options={"synchronize_session": False},
        )


def _count(
    session: Session,
    edition_id: int,
    leaving: Counter[tuple[int, DeliveryState]],
    state: DeliveryState,
) -> None:
    for (number, since), people in sorted(leaving.items()):
        changes = {state.name.lower(): people}
        if since is not DeliveryState.WAITING:  # whom no counter counts
            changes[since.name.lower()] = -people
        session.execute(
            update(Batch)
            .where(Batch.edition_id == edition_id, Batch.number == number)
            .values({name: getattr(Batch, name) + change for name, change in changes.items()})
        )


def _allow(engine: Engine, folder: Path) -> None:
    with transaction(engine) as session:
        here = session.get_one(Installation, THE_ONE)
        here.send_epoch = max(here.send_epoch, epoch.noted(folder, here.identity))
        here.disarmed_at = None

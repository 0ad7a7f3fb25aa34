"""What somebody should look at now, and why."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import AlarmKind, Edition, EditionState, HoldScope, MailingList
from newsletter.plan.alarms import unready_slots
from newsletter.report.backlog import due_since
from newsletter.report.lists import EditionLine
from newsletter.report.transports import HeldThing, held_things

LATE = timedelta(minutes=2)
"""So long a batch that is due waits for a worker before somebody should know."""
REFUSED_SHARE = 0.02
REFUSED_LEAST = 20
LOOKED_AT = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class UnreadySlot:
    kind: ClassVar[str] = "unready"
    mailing_list: MailingList
    due_at: datetime
    ready_by: datetime
    is_past: bool
    """The time by which it was to be approved is over."""


@dataclass(frozen=True, slots=True)
class Held:
    """A breaker is open, or somebody holds it."""

    kind: ClassVar[str] = "held"
    thing: HeldThing
    edition_id: int | None


@dataclass(frozen=True, slots=True)
class NobodySends:
    kind: ClassVar[str] = "nobody sends"
    since: datetime


@dataclass(frozen=True, slots=True)
class Refusals:
    """More people than usual were refused; `before` is the list's edition before it."""

    kind: ClassVar[str] = "refusals"
    line: EditionLine
    before: EditionLine | None


@dataclass(frozen=True, slots=True)
class InDoubt:
    kind: ClassVar[str] = "in doubt"
    line: EditionLine


Alarm = UnreadySlot | Held | NobodySends | Refusals | InDoubt


def alarms_for(
    session: Session,
    mailing_lists: Sequence[MailingList],
    newest: Iterable[Sequence[EditionLine]],
    *,
    within: Collection[int] | None,
    now: datetime,
) -> list[Alarm]:
    """The most pressing first; of what concerns everybody, and of these lists.

    `newest` has the newest edition of each list that has begun, and the one before it; an edition
    that goes to other lists than `within` is none of them, and named in none.
    """
    ids = {each.id for each in mailing_lists}
    return [
        *_nobody_sends(session, now),
        *_unready(session, ids, now),
        *_held(session, within, now),
        *_about_editions(newest, now),
    ]


def _nobody_sends(session: Session, now: datetime) -> Iterator[NobodySends]:
    since = due_since(session, now=now)
    if since is not None and now - since > LATE:
        yield NobodySends(since)


def _unready(session: Session, list_ids: Collection[int], now: datetime) -> Iterator[UnreadySlot]:
    for each in unready_slots(session, now=now):
        if each.mailing_list.id in list_ids:
            is_past = each.kind is AlarmKind.UNREADY
            yield UnreadySlot(each.mailing_list, each.due_at, each.ready_by, is_past)


def _held(session: Session, within: Collection[int] | None, now: datetime) -> Iterator[Held]:
    for thing in held_things(session, now=now):
        edition_id = int(thing.what) if thing.scope is HoldScope.EDITION else None
        if edition_id is None or _may_be_named(session, edition_id, within):
            yield Held(thing, edition_id)


def _may_be_named(session: Session, edition_id: int, within: Collection[int] | None) -> bool:
    of_edition = select(Edition.id).where(Edition.id == edition_id, Edition.goes_only_to(within))
    return session.scalar(of_edition) is not None


def _about_editions(
    lists: Iterable[Sequence[EditionLine]], now: datetime
) -> Iterator[Refusals | InDoubt]:
    seen = set[int]()
    for newest, *rest in lists:
        before = rest[0] if rest else None
        if newest.started_at < now - LOOKED_AT or newest.status.edition_id in seen:
            continue
        seen.add(newest.status.edition_id)
        if _is_refused_more(newest, before):
            yield Refusals(newest, before)
        if newest.status.uncertain and newest.status.state is not EditionState.SENDING:
            yield InDoubt(newest)


def refused_share(line: EditionLine) -> float:
    tried = line.status.sent + line.status.failed + line.status.uncertain
    return line.status.failed / tried if tried else 0.0


def _is_refused_more(line: EditionLine, before: EditionLine | None) -> bool:
    usual = 0.0 if before is None else refused_share(before)
    return line.status.failed >= REFUSED_LEAST and refused_share(line) > max(
        REFUSED_SHARE, 2 * usual
    )

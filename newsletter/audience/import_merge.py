"""Brings one slice of an import into the audience, in a handful of statements for all its rows.

Nobody who left comes back, nobody suppressed is subscribed, and nothing that a person set
themselves is overwritten.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from newsletter.audience.directory import Numbers
from newsletter.audience.figures import Moves, moves_between, note_moves
from newsletter.audience.import_complete import complete_people, tag_people
from newsletter.audience.import_staging import load_rows, load_tags, prepare, staged
from newsletter.audience.rows import Row, stored_time
from newsletter.audience.suppression import OBJECTIONS
from newsletter.db import among, insert_or_ignore
from newsletter.models import (
    EVERYWHERE,
    ConsentEvent,
    ConsentKind,
    Domain,
    Import,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    Tag,
    Zone,
)

LEFT = int(SubscriptionStatus.UNSUBSCRIBED)


class Outcome(StrEnum):
    """What became of a row that could be read; one that could not has a `Rejection`."""

    CREATED = "created"
    """New on this list."""
    UPDATED = "updated"
    """On it already, and something changed."""
    UNCHANGED = "unchanged"
    LEFT_BEFORE = "unsubscribed before"
    """The file says otherwise and was not believed."""
    SUPPRESSED = "now suppressed"
    """By this file's word."""
    SKIPPED = "skipped: suppressed"


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines that follow each other and fared alike."""

    first: int
    last: int
    outcome: Outcome

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Merged:
    lines: tuple[Lines, ...]
    statuses: Counter[SubscriptionStatus]
    """How many more people of the file are so on the list."""


@dataclass(slots=True)
class Merger:
    """Kept for as long as one import runs; each `merge` is a part of the caller's transaction."""

    job: Import
    now: datetime
    _domains: Numbers = field(default_factory=lambda: Numbers(Domain))
    _zones: Numbers = field(default_factory=lambda: Numbers(Zone))
    _tags: Numbers = field(default_factory=lambda: Numbers(Tag))

    def merge(self, session: Session, rows: Sequence[Row]) -> Merged:
        """`rows` name nobody twice; one who is there already may come again to end their mail."""
        job = self.job
        prepare(session)
        has_tags = self._load(session, rows)
        _find_suppressed(session, job)
        _find_people(session, job, is_known=True)
        complete_people(session, job, now=self.now)
        if not job.is_dry_run:
            _add_people(session, job, now=self.now)
            _find_people(session, job, is_known=False)
        if has_tags:
            tag_people(session, job, now=self.now)
        if not job.is_dry_run:
            moves = _subscribe(session, job)
            moves += _move(session, job)
            note_moves(session, job.list_id, moves, at=self.now)
            _keep_evidence(session, job, now=self.now)
            _suppress(session, job)
        return Merged(_lines(session), _statuses(session))

    def _load(self, session: Session, rows: Sequence[Row]) -> bool:
        """Whether there are tags to put on anybody."""
        domains = self._domains.of(session, {row.domain for row in rows})
        zones = self._zones.of(session, {row.zone for row in rows if row.zone})
        list_id, import_id, now = self.job.list_id, self.job.id, stored_time(self.now)
        everywhere = list_id if self.job.is_narrow else EVERYWHERE
        load_rows(
            session,
            [
                (
                    row.line,
                    row.address,
                    row.key,
                    row.hash,
                    domains[row.domain],
                    zones[row.zone] if row.zone else None,
                    row.language,
                    row.name,
                    row.attributes,
                    row.status,
                    row.suppression,
                    everywhere if row.is_suppressed_everywhere else list_id,
                    row.joined_at or now,
                    (row.left_at or now) if row.status == LEFT else None,
                    row.suppressed_at or now,
                    _evidence(row, import_id),
                    row.is_repeat,
                )
                for row in rows
            ],
        )
        tags = self._tags.of(session, {*self.job.tags, *(tag for row in rows for tag in row.tags)})
        if tags:
            always = self.job.tags
            load_tags(
                session,
                {(row.line, tags[tag]) for row in rows for tag in (*always, *row.tags)},
            )
        return bool(tags)


def source_of(import_id: int) -> str:
    """What history and suppressions name an import by."""
    return f"import {import_id}"


_WORDS = {int(status): status.name.lower() for status in SubscriptionStatus}


def _evidence(row: Row, import_id: int) -> str:
    status = _WORDS[row.status]
    return f'{{"import": {import_id}, "line": {row.line}, "status": "{status}"{row.facts}}}'


def _find_suppressed(session: Session, job: Import) -> None:
    session.execute(
        update(staged)
        .where(
            exists().where(
                Suppression.address_hash == staged.c.address_hash,
                Suppression.list_id.in_((EVERYWHERE, job.list_id)),
            )
        )
        .values(is_blocked=true())
    )


def _find_people(session: Session, job: Import, *, is_known: bool) -> None:
    status = (
        select(Subscription.status)
        .where(Subscription.list_id == job.list_id, Subscription.subscriber_id == Subscriber.id)
        .scalar_subquery()
    )
    session.execute(
        update(staged)
        .where(staged.c.subscriber_id.is_(None), Subscriber.address_key == staged.c.address_key)
        .values(subscriber_id=Subscriber.id, before=status, is_known=literal(is_known))
    )


def _add_people(session: Session, job: Import, *, now: datetime) -> None:
    columns: dict[str, ColumnElement[Any]] = {
        "address": staged.c.address,
        "address_key": staged.c.address_key,
        "address_hash": staged.c.address_hash,
        "domain_id": staged.c.domain_id,
        "zone_id": staged.c.zone_id,
        "language": staged.c.language,
        "name": staged.c.name,
        "attributes": func.coalesce(staged.c.attributes, literal({}, staged.c.attributes.type)),
        "import_id": literal(job.id),
        "created_at": literal(now, staged.c.joined_at.type),
    }
    session.execute(
        insert_or_ignore(session, Subscriber).from_select(
            list(columns),
            select(*columns.values())
            .where(staged.c.subscriber_id.is_(None), not_(staged.c.is_blocked))
            .order_by(staged.c.line),
        )
    )


def _is_new() -> ColumnElement[bool]:
    return and_(
        staged.c.subscriber_id.is_not(None), staged.c.before.is_(None), not_(staged.c.is_blocked)
    )


def _subscribe(session: Session, job: Import) -> Moves:
    columns: dict[str, ColumnElement[Any]] = {
        "list_id": literal(job.list_id),
        "subscriber_id": staged.c.subscriber_id,
        "status": staged.c.status,
        "hidden_sections": literal(0),
        "joined_at": staged.c.joined_at,
        "left_at": staged.c.left_at,
        "import_id": literal(job.id),
    }
    made = Counter(
        session.scalars(
            insert_or_ignore(session, Subscription)
            .from_select(
                list(columns),
                select(*columns.values()).where(_is_new()).order_by(staged.c.subscriber_id),
            )
            .returning(Subscription.status)
        )
    )
    return Moves(
        imported=made[SubscriptionStatus.CONFIRMED], pending=made[SubscriptionStatus.PENDING]
    )


def _may_move() -> ColumnElement[bool]:
    """A status only moves towards the door: pending, confirmed, unsubscribed."""
    return and_(
        staged.c.before < staged.c.status,
        or_(
            staged.c.status == LEFT,
            and_(staged.c.suppression.is_(None), not_(staged.c.is_blocked)),
        ),
    )


def _move(session: Session, job: Import) -> Moves:
    moves = Moves()
    if not session.scalar(select(exists().where(_may_move()))):
        return moves
    # Looked at once more, and locked: what they are now is what the list's figures change by.
    before = session.execute(
        select(Subscription.subscriber_id, Subscription.status, staged.c.status)
        .join(staged, Subscription.subscriber_id == staged.c.subscriber_id)
        .where(
            Subscription.list_id == job.list_id,
            Subscription.status < staged.c.status,
            _may_move(),
        )
        .with_for_update(of=Subscription)
    ).all()
    for _, was, becomes in before:
        moves += moves_between(was, SubscriptionStatus(becomes))
    moves.imported, moves.joined = moves.joined, 0
    moved = [subscriber_id for subscriber_id, _, _ in before]
    session.execute(
        update(Subscription)
        .where(
            Subscription.list_id == job.list_id,
            Subscription.subscriber_id == staged.c.subscriber_id,
            among(session, staged.c.subscriber_id, moved),
        )
        .values(status=staged.c.status, left_at=staged.c.left_at)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(staged).where(among(session, staged.c.subscriber_id, moved)).values(is_moved=true())
    )
    return moves


def _keep_evidence(session: Session, job: Import, *, now: datetime) -> None:
    columns: dict[str, ColumnElement[Any]] = {
        "subscriber_id": staged.c.subscriber_id,
        "list_id": literal(job.list_id),
        "kind": literal(ConsentKind.IMPORTED, ConsentEvent.kind.type),
        "at": literal(now, staged.c.joined_at.type),
        "evidence": staged.c.evidence,
    }
    session.execute(
        insert(ConsentEvent).from_select(
            list(columns),
            select(*columns.values())
            .where(or_(_is_new(), staged.c.is_moved))
            .order_by(staged.c.subscriber_id),
            include_defaults=False,
        )
    )


def _suppress(session: Session, job: Import) -> None:
    columns: dict[str, ColumnElement[Any]] = {
        "address_hash": staged.c.address_hash,
        "list_id": staged.c.scope,
        "reason": staged.c.suppression,
        "source": literal(source_of(job.id)),
        "created_at": staged.c.suppressed_at,
        "import_id": literal(job.id),
    }
    session.execute(
        insert_or_ignore(session, Suppression).from_select(
            list(columns),
            select(*columns.values())
            .where(staged.c.suppression.is_not(None))
            .order_by(staged.c.address_hash),
        )
    )
    session.execute(
        update(Suppression)
        .where(
            Suppression.address_hash == staged.c.address_hash,
            Suppression.list_id == staged.c.scope,
            Suppression.reason.not_in(OBJECTIONS),
            staged.c.suppression.in_([reason.value for reason in OBJECTIONS]),
        )
        .values(
            reason=staged.c.suppression,
            source=source_of(job.id),
            # Where another had said something already, undoing this import must leave it.
            import_id=case((Suppression.import_id == job.id, job.id)),
        )
        .execution_options(synchronize_session=False)
    )


def _lines(session: Session) -> tuple[Lines, ...]:
    outcome = case(
        (staged.c.is_blocked, Outcome.SKIPPED.value),
        (staged.c.suppression.is_not(None), Outcome.SUPPRESSED.value),
        (staged.c.before.is_(None), Outcome.CREATED.value),
        (
            and_(staged.c.before == LEFT, staged.c.status < LEFT),
            Outcome.LEFT_BEFORE.value,
        ),
        (or_(staged.c.is_moved, staged.c.is_changed, _may_move()), Outcome.UPDATED.value),
        else_=Outcome.UNCHANGED.value,
    )
    # The same for lines that follow each other and fared alike.
    island = staged.c.line - func.row_number().over(partition_by=outcome, order_by=staged.c.line)
    each = (
        select(outcome.label("outcome"), staged.c.line, island.label("island"))
        .where(not_(staged.c.is_repeat))
        .subquery()
    )
    first = func.min(each.c.line)
    found = session.execute(
        select(each.c.outcome, first, func.max(each.c.line))
        .group_by(each.c.outcome, each.c.island)
        .order_by(first)
    )
    return tuple(Lines(start, end, Outcome(word)) for word, start, end in found)


def _statuses(session: Session) -> Counter[SubscriptionStatus]:
    after = case(
        (_may_move(), staged.c.status),
        (staged.c.is_blocked, staged.c.before),
        else_=func.coalesce(staged.c.before, staged.c.status),
    )
    people: Counter[SubscriptionStatus] = Counter()
    # Whoever comes again was counted before, with what they were then.
    for is_repeat, before, status, count in session.execute(
        select(staged.c.is_repeat, staged.c.before, after, func.count()).group_by(
            staged.c.is_repeat, staged.c.before, after
        )
    ):
        if status is None or (is_repeat and before is None):
            continue
        people[SubscriptionStatus(status)] += count
        if is_repeat:
            people[SubscriptionStatus(before)] -= count
    return people

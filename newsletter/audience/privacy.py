"""What is known of one person, all of it: to hand it over, and to erase it.

An erasure leaves the keyed hash of the address, suppressed, and rows that count in figures under a
number that is nobody's. Tests compare both with every column of every table.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash, parse_address
from newsletter.audience.figures import moves_between, note_moves
from newsletter.audience.privacy_remains import anonymise, blank_replies, editions_under_way
from newsletter.audience.privacy_subjects import SUBJECTS, Traces
from newsletter.audience.subscribers import get_subscriber
from newsletter.audience.suppression import suppress, suppress_many
from newsletter.audience.turns import take_turn
from newsletter.db import changed, locked
from newsletter.errors import AddressError, NotFoundError
from newsletter.models import (
    AddressMove,
    Edition,
    Erasure,
    ImportChunk,
    ImportLine,
    RecipientOfTests,
    RefusalFigures,
    SignupRequest,
    Subscriber,
    SubscriberChange,
    Subscription,
    SuppressionReason,
    SystemMail,
    SystemMailKind,
)
from newsletter.queue import Job, enqueue_after_commit


@dataclass(frozen=True, slots=True)
class PersonalData:
    """By subject (`profile`, `consents`, `deliveries` …) its rows, the oldest first.

    `newsletter.report.personal_data.write_archive` makes a ZIP of it.
    """

    subscriber_id: int
    subjects: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done; `open_imports` still need their file, and it may name the person."""

    subscriber_id: int
    mails: int
    """Single mails that were waiting, or kept after they were sent."""
    deliveries: int
    """They count in the figures on, and are nobody's."""
    under_way: tuple[int, ...]
    """Editions that keep the person's number until they are over."""
    open_imports: tuple[int, ...]


def personal_data(session: Session, subscriber_id: int) -> PersonalData:
    """Raises `NotFoundError`."""
    traces = _traces(session, get_subscriber(session, subscriber_id))
    return PersonalData(
        subscriber_id, {name: read(session, traces) for name, read in SUBJECTS.items()}
    )


def erase(session: Session, subscriber_id: int, *, source: str, now: datetime) -> Erased:
    """The person wants to be forgotten: their address is suppressed everywhere, and all else goes.

    `source` says who asked, for the suppression: "preferences", "command line". It is all in the
    caller's transaction, which should do little else; safe while an edition is being sent. Raises
    `NotFoundError`.
    """
    person = _locked(session, subscriber_id)
    if person is None:
        raise NotFoundError("There is no subscriber {number}.", number=subscriber_id)
    traces = _traces(session, person)
    erased = _remove(session, traces, now)
    for hashed in sorted(traces.hashes):
        reason = SuppressionReason.ON_REQUEST
        suppress(session, hashed, reason=reason, source=f"erasure: {source}", now=now)
    return erased


def forget(
    session: Session, subscriber_id: int, *, if_still: ColumnElement[bool], now: datetime
) -> Erased | None:
    """Nobody asked, but the person left long ago: as `erase`, and no import brings them back to the
    lists they left; their own sign-up does. None when `if_still` does not hold for them any more.
    """
    person = _locked(session, subscriber_id)
    still = select(Subscriber.id).where(Subscriber.id == subscriber_id, if_still)
    if person is None or session.scalar(still) is None:
        return None
    traces = _traces(session, person)
    left = session.scalars(
        select(Subscription.list_id).where(Subscription.subscriber_id == subscriber_id)
    ).all()
    erased = _remove(session, traces, now)
    reasons = dict.fromkeys(traces.hashes, SuppressionReason.LEFT)
    for list_id in sorted(left):
        suppress_many(session, reasons, source="retention", list_id=list_id, now=now)
    return erased


def _locked(session: Session, subscriber_id: int) -> Subscriber | None:
    """In the order in which imports and the planner take what they lock.

    An import's slice looks people up and then writes; the planner describes a batch by its first
    reader. Nobody may vanish in between.
    """
    take_turn(session)
    session.execute(
        select(Edition.id)
        .where(
            Edition.started_at.is_not(None),
            Edition.planned_at.is_(None),
            Edition.finished_at.is_(None),
        )
        .order_by(Edition.id)
        .with_for_update(key_share=True)
    )
    return locked(session, Subscriber, subscriber_id)


def _traces(session: Session, person: Subscriber) -> Traces:
    """Their address, those that they had before and wanted to have, but none that is somebody else's."""
    had = session.execute(
        select(SubscriberChange.before, SubscriberChange.after).where(
            SubscriberChange.subscriber_id == person.id, SubscriberChange.field == "address"
        )
    )
    wanted = session.scalars(
        select(AddressMove.new_address).where(AddressMove.subscriber_id == person.id)
    )
    addresses = _parsed([person.address, *(each for row in had for each in row if each)])
    hoped_for = _parsed(wanted)
    taken = set(
        session.scalars(
            select(Subscriber.address_key).where(
                Subscriber.address_key.in_([each.key for each in addresses | hoped_for]),
                Subscriber.id != person.id,
            )
        )
    )
    known = [each for each in addresses | hoped_for if each.key not in taken]
    return Traces(
        subscriber_id=person.id,
        name=person.name,
        addresses=frozenset(text for each in known for text in (str(each), each.key)),
        hashes=frozenset(address_hash(each) for each in addresses if each.key not in taken),
    )


def _parsed(texts: Iterable[str]) -> set[Address]:
    """What an older version took and this one does not is found by no path, so it is passed over."""
    found = set()
    for each in texts:
        try:
            found.add(parse_address(each))
        except AddressError:
            continue
    return found


def _remove(session: Session, traces: Traces, now: datetime) -> Erased:
    mails = _forget_mails(session, traces)
    changed(session, delete(SignupRequest).where(SignupRequest.address_hash.in_(traces.hashes)))
    changed(session, delete(AddressMove).where(AddressMove.new_hash.in_(traces.hashes)))
    changed(session, delete(RecipientOfTests).where(RecipientOfTests.pattern.in_(traces.addresses)))
    _blank_reports(session, traces)
    blank_replies(session, [traces.subscriber_id])
    _note_moves(session, traces.subscriber_id, now)
    # Whatever hangs on the person goes with them: subscriptions, consents, changes, tags.
    changed(session, delete(Subscriber).where(Subscriber.id == traces.subscriber_id))
    session.expire_all()
    deliveries = anonymise(session, [traces.subscriber_id])
    under_way = editions_under_way(session, [traces.subscriber_id])
    session.add(Erasure(subscriber_id=traces.subscriber_id, erased_at=now))
    session.flush()
    enqueue_after_commit(session, Job.FINISH_ERASURES)
    return Erased(
        subscriber_id=traces.subscriber_id,
        mails=mails,
        deliveries=deliveries,
        under_way=tuple(sorted({edition_id for edition_id, _ in under_way})),
        open_imports=_open_imports(session),
    )


def _note_moves(session: Session, subscriber_id: int, now: datetime) -> None:
    """Their lists have one person less; when and why is no longer anybody's."""
    for list_id, status in session.execute(
        select(Subscription.list_id, Subscription.status).where(
            Subscription.subscriber_id == subscriber_id
        )
    ):
        note_moves(session, list_id, moves_between(status, None), at=now)


def _forget_mails(session: Session, traces: Traces) -> int:
    """Those to them, and test mails to others that greet as them."""
    return changed(
        session,
        delete(SystemMail).where(
            or_(
                SystemMail.to_address.in_(traces.addresses),
                (SystemMail.kind == SystemMailKind.TEST)
                & (SystemMail.data["persona_id"].as_integer() == traces.subscriber_id),
            )
        ),
    )


def _blank_reports(session: Session, traces: Traces) -> None:
    """Addresses are masked in them; a name may stand there that was in the wrong column, or that a
    server repeated.
    """
    if not traces.name:
        return
    for table, column in ((ImportLine, ImportLine.text), (RefusalFigures, RefusalFigures.reply)):
        session.execute(
            update(table)
            .where(
                or_(
                    column.contains(traces.name, autoescape=True),
                    func.lower(column).contains(traces.name.lower(), autoescape=True),
                )
            )
            .values({column: ""})
            .execution_options(synchronize_session=False)
        )


def _open_imports(session: Session) -> tuple[int, ...]:
    return tuple(
        session.scalars(select(ImportChunk.import_id).distinct().order_by(ImportChunk.import_id))
    )

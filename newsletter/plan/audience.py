"""Whom an edition is narrowed to: chosen for a draft, frozen at its approval, asked when planning."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, null, or_, select, true
from sqlalchemy.orm import Session

from newsletter.audience.segments.query import segmented
from newsletter.audience.segments.saved import segment_by_name
from newsletter.errors import InputError, StateError
from newsletter.models import (
    CorrectionMail,
    Delivery,
    DeliveryState,
    Edition,
    EditionSegment,
    EditionState,
    Reason,
    Segment,
    SegmentUse,
    Subscriber,
)
from newsletter.plan.stored import get_edition

MOST_EXCLUSIONS = 20


@dataclass(frozen=True, slots=True)
class Narrowing:
    """SQL values over `Subscriber`; people who are not admitted are no part of the edition."""

    admits: ColumnElement[bool]
    reason: ColumnElement[Any]
    """A `Reason` not to mail somebody who is, or NULL."""


def choose_audience(
    session: Session, edition_id: int, *, audience: str | None, exclusions: Sequence[str]
) -> None:
    """Narrow a draft to these segments, by name, instead of those it had; None: to nobody.

    Raises `NotFoundError`, `InputError`, and `StateError` for what is no draft.
    """
    edition = get_edition(session, edition_id)
    if edition.state is not EditionState.DRAFT:
        raise StateError(
            "Edition {edition} is {state}; only a draft's audience is changed.",
            edition=edition_id,
            state=edition.state,
        )
    if len(exclusions) > MOST_EXCLUSIONS:
        raise InputError("name at most {most} segments", field="exclude", most=MOST_EXCLUSIONS)
    session.execute(delete(EditionSegment).where(EditionSegment.edition_id == edition_id))
    uses = [(SegmentUse.AUDIENCE, audience)] if audience is not None else []
    uses += [(SegmentUse.EXCLUSION, name) for name in dict.fromkeys(exclusions)]
    for number, (use, name) in enumerate(uses):
        segment = segment_by_name(session, name)
        session.add(
            EditionSegment(
                edition_id=edition_id,
                number=number,
                use=use,
                segment_id=segment.id,
                name=segment.name,
            )
        )
    session.flush()


def segments_of(session: Session, edition_id: int) -> list[EditionSegment]:
    """The audience first, if there is one."""
    return list(
        session.scalars(
            select(EditionSegment)
            .where(EditionSegment.edition_id == edition_id)
            .order_by(EditionSegment.number)
        )
    )


def freeze_audience(session: Session, edition: Edition) -> None:
    """Copy the definitions as they are: whoever edits the segments later changes nothing here."""
    for used in segments_of(session, edition.id):
        used.definition = None
        used.definition = _definition(session, used)
    session.flush()


def thaw_audience(session: Session, edition_id: int) -> None:
    """The approval is void, and its copies with it."""
    for used in segments_of(session, edition_id):
        used.definition = None
    session.flush()


def approval_hash(session: Session, content_hash: str, segments: Sequence[EditionSegment]) -> str:
    """What an approval names: the content, and whom it goes to where that is narrowed."""
    if not segments:
        return content_hash
    approved: dict[str, Any] = {
        "content": content_hash,
        "segments": [[used.use.value, _definition(session, used)] for used in segments],
    }
    canonical = json.dumps(approved, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def narrowing_of(session: Session, edition: Edition, *, now: datetime) -> Narrowing:
    """As it was approved, or as it would be now; periods end when the edition begins.

    Raises `QueryError` when a frozen definition names what there is no more: better nobody is
    planned then than somebody who was left out.
    """
    used = segments_of(session, edition.id)
    holds = {each.number: _holds(session, each, edition.started_at or now) for each in used}
    audience = [holds[each.number] for each in used if each.use is SegmentUse.AUDIENCE]
    excluded = [holds[each.number] for each in used if each.use is SegmentUse.EXCLUSION]
    return Narrowing(
        and_(true(), *audience, *_were_sent(session, edition.id)),
        case((or_(*excluded), int(Reason.SEGMENT)), else_=None) if excluded else null(),
    )


def address_to_receivers(session: Session, edition_id: int, *, corrects: int, upto: int) -> None:
    """Narrow a draft to who was sent the edition `corrects` in its revision `upto` or an earlier one."""
    session.add(CorrectionMail(edition_id=edition_id, corrects=corrects, upto=upto))
    session.flush()


def _were_sent(session: Session, edition_id: int) -> Iterator[ColumnElement[bool]]:
    """The condition of a correction mail; of any other edition none."""
    correction = session.get(CorrectionMail, edition_id)
    if correction is not None:
        yield exists().where(
            Delivery.edition_id == correction.corrects,
            Delivery.subscriber_id == Subscriber.id,
            Delivery.state == DeliveryState.SENT,
            Delivery.revision <= correction.upto,
        )


def _holds(session: Session, used: EditionSegment, now: datetime) -> ColumnElement[bool]:
    return segmented(session, _definition(session, used), now=now).holds


def _definition(session: Session, used: EditionSegment) -> str:
    """As it was approved; of what nobody has approved, as it is."""
    if used.definition is not None:
        return used.definition
    assert used.segment_id is not None
    return session.get_one(Segment, used.segment_id).definition

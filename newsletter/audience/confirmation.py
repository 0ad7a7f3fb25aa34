"""The buttons behind the links in a confirmation mail: yes, and never again.

Looking at a page changes nothing, since scanners look too; what a button does, it does once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.consent import subscribe
from newsletter.audience.history import Origin
from newsletter.audience.signup import LIFETIME, Visit, one_line, version_of
from newsletter.audience.signup_mail import Links, post_welcome
from newsletter.audience.subscribers import (
    SubscriberChanges,
    SubscriberFields,
    add_subscriber,
    edit_subscriber,
)
from newsletter.audience.suppression import suppress
from newsletter.audience.suppression_lifting import LONGEST_WHY, lift_by_person
from newsletter.errors import InputError
from newsletter.models import (
    EVERYWHERE,
    ChangeCause,
    MailingList,
    RequestAnswer,
    RequestKind,
    SignupRequest,
    Subscriber,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)

ASKED_BY_MAIL = (RequestAnswer.CONFIRM, RequestAnswer.INVITE)


class Standing(Enum):
    """What a confirmation link is good for."""

    OPEN = "open"
    USED = "used"
    GONE = "gone"
    """Too old, or its lists take nobody any more, or the address is not to be mailed."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`address`, `language` and `lists` are empty when the standing is `GONE`."""

    standing: Standing
    address: str = ""
    language: str | None = None
    lists: tuple[MailingList, ...] = ()


GONE = Confirmation(Standing.GONE)


def look_at(session: Session, reference: str, *, now: datetime) -> Confirmation:
    return _standing(session, _request(session, reference), now)


def confirm(
    session: Session, reference: str, *, visit: Visit, links: Links, now: datetime
) -> Confirmation:
    """Subscribe who asked, and welcome them; the standing is the one from before.

    It is the person's own word, and the only one that lifts a suppression: an invitation's does.
    """
    request = _request(session, reference, is_locked=True)
    confirmation = _standing(session, request, now)
    if request is None or confirmation.standing is not Standing.OPEN:
        return confirmation
    request.confirmed_at = now
    evidence: dict[str, Any] = {
        "confirmed_ip": visit.ip,
        "confirmed_user_agent": one_line(visit.user_agent),
    }
    if request.kind is RequestKind.INVITATION:
        evidence |= _lift(session, request, now)
    person = join(session, request, confirmation.lists, evidence=evidence, links=links, now=now)
    post_welcome(session, person, confirmation.lists, links=links, now=now)
    return confirmation


def join(
    session: Session,
    request: SignupRequest,
    lists: Sequence[MailingList],
    *,
    evidence: dict[str, Any],
    links: Links,
    now: datetime,
) -> Subscriber:
    """Put the person whom `request` is about on `lists`, confirmed, with all that proves it."""
    origin = Origin(ChangeCause.FORM, "reader", request.form_url or None)
    person = _person(session, request, origin, now)
    for mailing_list in lists:
        subscribe(
            session,
            person,
            mailing_list,
            SubscriptionStatus.CONFIRMED,
            origin=origin,
            evidence=_request_as_evidence(request, mailing_list, links) | evidence,
            now=now,
        )
    return person


def refuse(session: Session, hashed: bytes, *, now: datetime) -> None:
    """Whoever has the address never wants mail; what was asked for in their name is forgotten."""
    suppress(session, hashed, reason=SuppressionReason.ON_REQUEST, source="not me link", now=now)
    session.execute(delete(SignupRequest).where(SignupRequest.address_hash == hashed))


def find_person(session: Session, request: SignupRequest) -> Subscriber | None:
    """Who has the address that was asked for."""
    key = parse_address(request.address).key
    return session.scalar(select(Subscriber).where(Subscriber.address_key == key))


def lists_that_may_mail(session: Session, request: SignupRequest) -> list[MailingList]:
    """Those of its lists that still take people, and that must not spare the address, in order."""
    lists = session.scalars(
        select(MailingList).where(
            MailingList.id.in_(request.list_ids), MailingList.retired_at.is_(None)
        )
    ).all()
    if request.kind is RequestKind.INVITATION:
        return list(lists)
    spared = set(
        session.scalars(
            select(Suppression.list_id).where(
                Suppression.address_hash == request.address_hash,
                # They left, and were forgotten since: they may come back by themselves.
                Suppression.reason != SuppressionReason.LEFT,
            )
        )
    )
    if EVERYWHERE in spared:
        return []
    open_lists = [each for each in lists if each.is_public and each.id not in spared]
    return sorted(open_lists, key=lambda each: request.list_ids.index(each.id))


def _request(session: Session, reference: str, *, is_locked: bool = False) -> SignupRequest | None:
    found = select(SignupRequest).where(SignupRequest.reference == reference)
    return session.scalar(found.with_for_update() if is_locked else found)


def _standing(session: Session, request: SignupRequest | None, now: datetime) -> Confirmation:
    if request is None or request.requested_at < now - LIFETIME:
        return GONE
    if request.answer not in ASKED_BY_MAIL:
        return GONE
    if request.confirmed_at is not None:
        return Confirmation(Standing.USED, request.address, request.language)
    lists = lists_that_may_mail(session, request)
    if not lists:
        return GONE
    return Confirmation(Standing.OPEN, request.address, request.language, tuple(lists))


def _lift(session: Session, request: SignupRequest, now: datetime) -> dict[str, Any]:
    """Take back what kept mail from the address, and say what that was."""
    lifted = lift_by_person(
        session,
        request.address_hash,
        (EVERYWHERE, *request.list_ids),
        why=f"invited by {request.invited_by}: {request.reason}"[:LONGEST_WHY],
        now=now,
    )
    return {
        "invited_by": request.invited_by,
        "invited_because": request.reason,
        "lifted": sorted(reason.value for reason in lifted),
    }


def _person(session: Session, request: SignupRequest, origin: Origin, now: datetime) -> Subscriber:
    guesses: SubscriberFields = {"language": request.language or "", "zone": request.zone or ""}
    person = find_person(session, request)
    if person is None:
        try:
            return add_subscriber(session, request.address, guesses, origin=origin, now=now)
        except InputError:
            # Somebody made it since we looked: another request of theirs, an import.
            person = find_person(session, request)
            if person is None:
                raise
    return _fill_in(session, person, guesses, origin, now)


def _fill_in(
    session: Session,
    person: Subscriber,
    guesses: SubscriberFields,
    origin: Origin,
    now: datetime,
) -> Subscriber:
    """A browser's guess replaces nothing that is known."""
    missing: SubscriberChanges = {}
    if person.language is None:
        missing["language"] = guesses["language"]
    if person.zone_id is None:
        missing["zone"] = guesses["zone"]
    if not any(missing.values()):
        return person
    return edit_subscriber(session, person.id, missing, origin=origin, now=now)


def _request_as_evidence(
    request: SignupRequest, mailing_list: MailingList, links: Links
) -> dict[str, Any]:
    evidence = {
        "requested_at": request.requested_at.isoformat(),
        "message_id": links.message_id(request.reference),
        "tracking": mailing_list.tracking.value,
        "language": request.language,
        "zone": request.zone,
    }
    if request.kind is RequestKind.INVITATION:
        return evidence
    return evidence | {
        "form": request.form_url,
        "form_version": version_of(request.wording),
        "wording": request.wording,
        "ip": request.ip,
        "user_agent": request.user_agent,
    }

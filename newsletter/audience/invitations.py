"""An admin asks somebody to come, or to come back after they wanted no more mail: once."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, mask_address, parse_address
from newsletter.audience.confirmation import find_person
from newsletter.audience.fields import read_line
from newsletter.audience.history import Origin
from newsletter.audience.lists import refuse_retired
from newsletter.audience.signup import new_reference
from newsletter.audience.signup_mail import Links, post_invitation
from newsletter.errors import StateError
from newsletter.models import (
    EVERYWHERE,
    Invitation,
    MailingList,
    RequestAnswer,
    RequestKind,
    SignupRequest,
    Subscription,
    SubscriptionStatus,
    Suppression,
)

LONGEST_REASON = 500
REST = timedelta(days=30)
"""How long nobody is invited again who is not suppressed; who is, is invited once and never again."""


def invite(
    session: Session,
    address: str,
    mailing_list: MailingList,
    *,
    reason: str,
    origin: Origin,
    links: Links,
    now: datetime,
) -> None:
    """Mail one invitation; only the button behind its link subscribes them and lifts a suppression.

    `reason` is kept with the consent and stands in no mail. Raises `InputError`, and `StateError`
    when the list takes nobody, they are on it, or they were invited before.
    """
    refuse_retired(mailing_list)
    parsed = parse_address(address)
    hashed = address_hash(parsed)
    request = SignupRequest(
        reference=new_reference(),
        kind=RequestKind.INVITATION,
        address=str(parsed),
        address_hash=hashed,
        list_ids=[mailing_list.id],
        wording="",
        form_url="",
        ip="",
        user_agent="",
        requested_at=now,
        answer=RequestAnswer.INVITE,
        answered_at=now,
        invited_by=origin.by,
        reason=read_line("reason", reason, longest=LONGEST_REASON),
    )
    person = find_person(session, request)
    subscription = session.get(Subscription, (mailing_list.id, person.id)) if person else None
    suppressed_at = _suppressed_at(session, hashed, mailing_list)
    masked = mask_address(str(parsed))
    if (
        suppressed_at is None
        and subscription is not None
        and subscription.status is SubscriptionStatus.CONFIRMED
    ):
        raise StateError(
            "{masked} is on the list {slug} already.", masked=masked, slug=mailing_list.slug
        )
    _refuse_another(session, masked, hashed, since=suppressed_at or now - REST)
    session.add_all(
        [
            request,
            Invitation(address_hash=hashed, list_id=mailing_list.id, by=origin.by, at=now),
        ]
    )
    session.flush()
    post_invitation(session, request, mailing_list, person=person, links=links, now=now)


def _suppressed_at(session: Session, hashed: bytes, mailing_list: MailingList) -> datetime | None:
    return session.scalar(
        select(func.max(Suppression.created_at)).where(
            Suppression.address_hash == hashed,
            Suppression.list_id.in_((EVERYWHERE, mailing_list.id)),
        )
    )


def _refuse_another(session: Session, masked: str, hashed: bytes, *, since: datetime) -> None:
    invited_at = session.scalar(
        select(func.max(Invitation.at)).where(
            Invitation.address_hash == hashed, Invitation.at >= since
        )
    )
    if invited_at is not None:
        raise StateError(
            "{masked} was invited on {day:%Y-%m-%d} and is not asked again.",
            masked=masked,
            day=invited_at,
        )

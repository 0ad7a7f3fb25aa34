"""What each request is answered with: the one place that looks at who has asked.

A worker answers, not the web server, so that nobody can tell from a page what became of a request.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from sqlalchemy import Engine, exists, select
from sqlalchemy.orm import Session, aliased

from newsletter.audience.confirmation import find_person, join, lists_that_may_mail
from newsletter.audience.signup_mail import (
    Links,
    post_already,
    post_confirm,
    post_link,
    post_welcome,
)
from newsletter.audience.suppression import is_suppressed
from newsletter.db import transaction
from newsletter.errors import NewsletterError
from newsletter.models import (
    EVERYWHERE,
    MailingList,
    OptIn,
    RequestAnswer,
    RequestKind,
    SignupRequest,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from newsletter.settings import Settings

logger = logging.getLogger(__name__)

MOST_A_DAY = 3
"""Mails of one kind to one address, whoever asks for how many lists (S-02)."""
PAUSE = timedelta(minutes=10)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wish:
    """A list that somebody asks for, and how they stand to it; None: not at all."""

    opt_in: OptIn
    status: SubscriptionStatus | None


def answer_requests(engine: Engine, *, settings: Settings, now: datetime) -> int:
    """Answer all that is open, each in a transaction of its own; returns how many that were."""
    links = Links.of(settings)
    answered = 0
    while _answer_next(engine, links, now):
        answered += 1
    return answered


def answer_to(wishes: Sequence[Wish]) -> RequestAnswer:
    """`wishes` are of lists that may mail the address."""
    if not wishes:
        return RequestAnswer.NOTHING
    if all(wish.status is SubscriptionStatus.CONFIRMED for wish in wishes):
        return RequestAnswer.ALREADY
    # Whoever left a list comes back with a mail of their own, or anybody could bring them back.
    if all(
        wish.opt_in is OptIn.SINGLE and wish.status is not SubscriptionStatus.UNSUBSCRIBED
        for wish in wishes
    ):
        return RequestAnswer.WELCOME
    return RequestAnswer.CONFIRM


def _answer_next(engine: Engine, links: Links, now: datetime) -> bool:
    with transaction(engine) as session:
        request = _next(session)
        if request is None:
            return False
        try:
            with session.begin_nested():
                answer = _answer(session, request, links, now)
        except NewsletterError as error:
            # It would stop all that come after it.
            logger.warning(
                "sign-up not answered",
                extra={"request_id": request.id, "error": type(error).__name__},
            )
            answer = RequestAnswer.NOTHING
        request.answer, request.answered_at = answer, now
    return True


def _next(session: Session) -> SignupRequest | None:
    """The oldest open one; those of one address in their order, never two at once."""
    earlier = aliased(SignupRequest)
    return session.scalar(
        select(SignupRequest)
        .where(
            SignupRequest.answered_at.is_(None),
            ~exists().where(
                earlier.address_hash == SignupRequest.address_hash,
                earlier.id < SignupRequest.id,
                earlier.answered_at.is_(None),
            ),
        )
        .order_by(SignupRequest.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _answer(session: Session, request: SignupRequest, links: Links, now: datetime) -> RequestAnswer:
    if _is_mailed_enough(session, request, now):
        return RequestAnswer.NOTHING
    match request.kind:
        case RequestKind.SIGN_UP:
            return _answer_signup(session, request, links, now)
        case RequestKind.LINK:
            return _answer_link(session, request, links, now)
        case RequestKind.INVITATION:
            return RequestAnswer.INVITE  # it was mailed when it was made
        case _:
            assert_never(request.kind)


def _answer_signup(
    session: Session, request: SignupRequest, links: Links, now: datetime
) -> RequestAnswer:
    lists = lists_that_may_mail(session, request)
    person = find_person(session, request)
    statuses = _statuses(session, request, person)
    answer = answer_to([Wish(each.opt_in, statuses.get(each.id)) for each in lists])
    if answer is RequestAnswer.CONFIRM:
        new = [each for each in lists if statuses.get(each.id) is not SubscriptionStatus.CONFIRMED]
        post_confirm(session, request, new, person=person, links=links, now=now)
    elif answer is RequestAnswer.ALREADY:
        assert person is not None
        post_already(session, person, lists, reference=request.reference, links=links, now=now)
    elif answer is RequestAnswer.WELCOME:
        person = join(session, request, lists, evidence={}, links=links, now=now)
        post_welcome(session, person, lists, reference=request.reference, links=links, now=now)
    return answer


def _answer_link(
    session: Session, request: SignupRequest, links: Links, now: datetime
) -> RequestAnswer:
    person = find_person(session, request)
    if person is None or is_suppressed(session, request.address_hash, list_id=EVERYWHERE):
        return RequestAnswer.NOTHING
    lists = _lists_of(session, person)
    post_link(session, person, lists, reference=request.reference, links=links, now=now)
    return RequestAnswer.LINK


def _is_mailed_enough(session: Session, request: SignupRequest, now: datetime) -> bool:
    mailed = session.scalars(
        select(SignupRequest.answered_at).where(
            SignupRequest.address_hash == request.address_hash,
            SignupRequest.kind == request.kind,
            SignupRequest.answer != RequestAnswer.NOTHING,
            SignupRequest.answered_at > now - _DAY,
        )
    ).all()
    return len(mailed) >= MOST_A_DAY or any(at is not None and at > now - PAUSE for at in mailed)


def _statuses(
    session: Session, request: SignupRequest, person: Subscriber | None
) -> dict[int, SubscriptionStatus]:
    """Of whoever left and was forgotten since, only their hash tells that they left."""
    left = session.scalars(
        select(Suppression.list_id).where(
            Suppression.address_hash == request.address_hash,
            Suppression.reason == SuppressionReason.LEFT,
        )
    )
    statuses = dict.fromkeys(left, SubscriptionStatus.UNSUBSCRIBED)
    if person is None:
        return statuses
    rows = session.execute(
        select(Subscription.list_id, Subscription.status).where(
            Subscription.subscriber_id == person.id
        )
    )
    return statuses | {row.list_id: row.status for row in rows}


def _lists_of(session: Session, person: Subscriber) -> list[MailingList]:
    """Those that mail them now."""
    return list(
        session.scalars(
            select(MailingList)
            .join(Subscription, Subscription.list_id == MailingList.id)
            .where(
                Subscription.subscriber_id == person.id,
                Subscription.status == SubscriptionStatus.CONFIRMED,
            )
            .order_by(MailingList.name, MailingList.id)
        )
    )

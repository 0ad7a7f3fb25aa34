from datetime import timedelta

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.audience.consent import (
    remove_from_list,
    status_after_subscribing,
    subscribe,
    unsubscribe,
)
from newsletter.audience.history import Origin
from newsletter.audience.lists import retire_list
from newsletter.audience.suppression import suppress
from newsletter.db import transaction
from newsletter.errors import StateError
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.tokens import SubscriptionRef
from tests.audience.people import EDITOR, NOW, READER, a_list, ada
from tests.track.people import SEVEN, mailed_morning, status_of

LATER = SEVEN + timedelta(minutes=1)


def leave(engine: Engine, ref: SubscriptionRef) -> bool:
    with transaction(engine) as session:
        return unsubscribe(session, ref, at=LATER, how="page")


def test_leaving_is_written_with_its_time_and_its_evidence(engine: Engine) -> None:
    morning = mailed_morning(engine)

    assert leave(engine, morning.subscription(morning.ada))

    with Session(engine) as session:
        ended = session.get_one(Subscription, (morning.list_id, morning.ada))
        evidence = session.scalars(select(ConsentEvent)).one()
        assert (ended.status, ended.left_at) == (SubscriptionStatus.UNSUBSCRIBED, LATER)
        assert (evidence.kind, evidence.at) == (ConsentKind.UNSUBSCRIBED, LATER)
        assert (evidence.list_id, evidence.subscriber_id) == (morning.list_id, morning.ada)
        assert evidence.evidence == {"how": "page", "edition_id": morning.edition_id}


def test_leaving_one_list_touches_no_other_list_and_nobody_else(engine: Engine) -> None:
    morning = mailed_morning(engine)

    leave(engine, morning.subscription(morning.ada))

    assert status_of(engine, morning.other_list_id, morning.ada) is SubscriptionStatus.CONFIRMED
    assert status_of(engine, morning.list_id, morning.bo) is SubscriptionStatus.CONFIRMED


def test_who_left_before_keeps_the_time_they_left_and_the_first_evidence(engine: Engine) -> None:
    morning = mailed_morning(engine)
    leave(engine, morning.subscription(morning.ada))

    assert not leave(engine, morning.subscription(morning.ada))

    with Session(engine) as session:
        assert len(session.scalars(select(ConsentEvent)).all()) == 1


def test_who_never_confirmed_can_leave(engine: Engine) -> None:
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        pending = session.get_one(Subscription, (morning.list_id, morning.bo))
        pending.status = SubscriptionStatus.PENDING

    assert leave(engine, morning.subscription(morning.bo))


def test_a_subscription_that_never_was_cannot_be_ended(engine: Engine) -> None:
    morning = mailed_morning(engine)

    assert not leave(engine, SubscriptionRef(morning.other_list_id, 1, morning.bo))
    assert not leave(engine, SubscriptionRef(999, 1, 999))


PENDING = SubscriptionStatus.PENDING
CONFIRMED = SubscriptionStatus.CONFIRMED
UNSUBSCRIBED = SubscriptionStatus.UNSUBSCRIBED


def join(
    session: Session,
    person: Subscriber,
    mailing_list: MailingList,
    status: SubscriptionStatus,
    origin: Origin = EDITOR,
) -> SubscriptionStatus:
    evidence = {"consent": "paper form"}
    joined = subscribe(
        session, person, mailing_list, status, origin=origin, evidence=evidence, now=NOW
    )
    return joined.status


def kinds(session: Session) -> list[ConsentKind]:
    return list(session.scalars(select(ConsentEvent.kind).order_by(ConsentEvent.id)))


@pytest.mark.parametrize(
    ("before", "wanted", "is_own_wish", "after"),
    [
        (None, PENDING, False, PENDING),
        (None, CONFIRMED, True, CONFIRMED),
        (PENDING, PENDING, True, PENDING),
        (PENDING, CONFIRMED, True, CONFIRMED),
        (PENDING, CONFIRMED, False, CONFIRMED),
        (CONFIRMED, PENDING, True, CONFIRMED),
        (UNSUBSCRIBED, PENDING, True, PENDING),
        (UNSUBSCRIBED, CONFIRMED, True, CONFIRMED),
        (UNSUBSCRIBED, PENDING, False, None),
        (UNSUBSCRIBED, CONFIRMED, False, None),
    ],
)
def test_only_the_person_comes_back_and_nobody_confirms_twice(
    before: SubscriptionStatus | None,
    wanted: SubscriptionStatus,
    is_own_wish: bool,
    after: SubscriptionStatus | None,
) -> None:
    assert status_after_subscribing(before, wanted, is_own_wish=is_own_wish) is after


def test_t31_each_step_of_joining_keeps_its_evidence(session: Session) -> None:
    person, daily = ada(session), a_list(session)

    assert join(session, person, daily, PENDING, READER) is PENDING
    assert join(session, person, daily, CONFIRMED) is CONFIRMED
    assert join(session, person, daily, CONFIRMED) is CONFIRMED

    assert kinds(session) == [ConsentKind.REQUESTED, ConsentKind.CONFIRMED]
    newest = session.scalars(select(ConsentEvent).order_by(ConsentEvent.id.desc())).first()
    assert newest is not None
    assert newest.evidence == {
        "how": "admin",
        "by": "ed",
        "reference": "command line",
        "consent": "paper form",
    }


def test_whoever_left_is_brought_back_by_nobody_but_themselves(session: Session) -> None:
    person, daily = ada(session), a_list(session)
    join(session, person, daily, CONFIRMED)
    assert remove_from_list(session, person, daily, origin=EDITOR, now=LATER)
    assert not remove_from_list(session, person, daily, origin=EDITOR, now=LATER)

    with pytest.raises(StateError, match="only they themselves can come back"):
        join(session, person, daily, CONFIRMED, EDITOR)
    left = session.get_one(Subscription, (daily.id, person.id), populate_existing=True)
    assert (left.status, left.left_at) == (UNSUBSCRIBED, LATER)

    assert join(session, person, daily, PENDING, READER) is PENDING
    assert (left.left_at, left.joined_at) == (None, NOW)


def test_a_suppressed_address_joins_no_list(session: Session) -> None:
    person, daily = ada(session), a_list(session)
    reason = SuppressionReason.COMPLAINED
    suppress(session, person.address_hash, reason=reason, source="arf", now=NOW)

    with pytest.raises(StateError, match=r"A\*\*\*@r\*\*\*.example is suppressed"):
        join(session, person, daily, CONFIRMED, READER)

    assert kinds(session) == []


def test_a_retired_list_takes_nobody_and_lets_everybody_go(session: Session) -> None:
    person, daily = ada(session), a_list(session)
    join(session, person, daily, CONFIRMED)
    retire_list(session, "daily", now=NOW)

    with pytest.raises(StateError, match="retired"):
        join(session, person, daily, CONFIRMED, READER)

    assert unsubscribe(session, SubscriptionRef(daily.id, 0, person.id), at=LATER, how="page")

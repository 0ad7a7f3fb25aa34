from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.audience.consent import unsubscribe
from newsletter.db import transaction
from newsletter.models import ConsentEvent, ConsentKind, Subscription, SubscriptionStatus
from newsletter.tokens import SubscriptionRef
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

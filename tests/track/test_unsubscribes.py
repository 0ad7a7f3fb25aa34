import threading
from datetime import timedelta

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.models import ConsentEvent, Event, EventKind, SubscriptionStatus
from newsletter.tokens import SubscriptionRef, UndoRef
from newsletter.track.unsubscribes import take_back, unsubscribe
from tests.track.people import SEVEN, edition_figures, mailed_morning, status_of


def leave(engine: Engine, ref: SubscriptionRef, minute: int = 0) -> bool:
    with transaction(engine) as session:
        return unsubscribe(session, ref, at=SEVEN + timedelta(minutes=minute), how="one-click")


def test_an_unsubscription_is_written_with_its_event_and_its_figure(engine: Engine) -> None:
    morning = mailed_morning(engine)

    assert leave(engine, morning.subscription(morning.ada))

    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)
    with Session(engine) as session:
        event = session.scalars(select(Event)).one()
        assert (event.kind, event.subscriber_id) == (EventKind.UNSUBSCRIBE, morning.ada)


def test_leaving_again_changes_and_counts_nothing(engine: Engine) -> None:
    morning = mailed_morning(engine)
    ref = morning.subscription(morning.ada)

    assert [leave(engine, ref, minute) for minute in range(3)] == [True, False, False]

    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)


def test_fifty_at_once_are_one_unsubscription(engine: Engine) -> None:
    morning = mailed_morning(engine)
    changed: list[bool] = []
    together = threading.Barrier(10)

    def leave_five_times() -> None:
        together.wait(10)
        for minute in range(5):
            changed.append(leave(engine, morning.subscription(morning.ada), minute))

    threads = [threading.Thread(target=leave_five_times) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(changed) == [False] * 49 + [True]
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)
    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(ConsentEvent)) == 1


def test_the_link_of_a_test_mail_works_and_counts_nowhere(engine: Engine) -> None:
    morning = mailed_morning(engine)
    ref = SubscriptionRef(morning.other_list_id, 999, morning.ada)

    assert leave(engine, ref)

    left = status_of(engine, morning.other_list_id, morning.ada)
    assert left is SubscriptionStatus.UNSUBSCRIBED
    with Session(engine) as session:
        assert session.scalars(select(Event)).all() == []


def test_an_unsubscription_that_is_taken_back_counts_no_more(engine: Engine) -> None:
    morning = mailed_morning(engine)
    for reader in (morning.ada, morning.bo):
        leave(engine, morning.subscription(reader))
    undo = UndoRef(morning.list_id, morning.ada, SEVEN)

    with transaction(engine) as session:
        first = take_back(session, undo, now=SEVEN + timedelta(minutes=5))
        again = take_back(session, undo, now=SEVEN + timedelta(minutes=5))

    assert (first, again) == (True, False)
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.CONFIRMED
    with Session(engine) as session:
        assert session.scalars(select(Event.subscriber_id)).all() == [morning.bo]


def test_who_leaves_again_after_taking_it_back_counts_again(engine: Engine) -> None:
    morning = mailed_morning(engine)
    ref = morning.subscription(morning.ada)
    leave(engine, ref)
    with transaction(engine) as session:
        take_back(session, UndoRef(morning.list_id, morning.ada, SEVEN), now=SEVEN)

    left = leave(engine, ref, 10)

    assert left
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)

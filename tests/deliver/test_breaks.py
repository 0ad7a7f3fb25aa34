"""A break that begins after the planning keeps mail away all the same."""

from datetime import date, timedelta

from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.claims import claim, who_left
from newsletter.models import Delivery, DeliveryState, Reason, Subscriber
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    sending_edition,
    states_of,
)

TODAY = MORNING.date()
LEASE = timedelta(minutes=5)


def pause(engine: Engine, subscriber_id: int, until: date) -> None:
    with transaction(engine) as session:
        session.get_one(Subscriber, subscriber_id).break_until = until


def test_whoever_takes_a_break_after_the_planning_is_excluded_when_the_batch_is_claimed(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    ada, bo, cy = add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, 25))
    pause(engine, ada, TODAY + timedelta(days=7))
    pause(engine, bo, TODAY)  # back today

    with transaction(engine) as session:
        claimed = claim(session, now=utc_now(), lease=LEASE)

    assert claimed is not None
    assert [reader.subscriber_id for reader in claimed.readers] == [bo, cy]
    assert states_of(engine, edition_id)[ada] is DeliveryState.EXCLUDED
    with reading(engine) as session:
        assert session.get_one(Delivery, (edition_id, ada)).reason is Reason.ON_BREAK


def test_a_break_that_begins_while_the_batch_is_sent_is_seen_with_the_next_window(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    sending_edition(engine, settings, [list_id], add_transport(engine, 25))
    with transaction(engine) as session:
        claimed = claim(session, now=utc_now(), lease=LEASE)
    assert claimed is not None

    pause(engine, ada, TODAY + timedelta(days=1))
    pause(engine, bo, TODAY)

    with reading(engine) as session:
        assert who_left(session, claimed.lease) == {ada: Reason.ON_BREAK}

from datetime import UTC, datetime

from sqlalchemy import Engine, select, text

from newsletter.db import transaction
from newsletter.models import Delivery, DeliveryState, Event, EventKind, schema
from newsletter.models.partitions import ensure_delivery_partition, ensure_event_partition

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_the_migrations_make_exactly_the_tables_of_the_models(engine: Engine) -> None:
    schema.check(engine)

    assert schema.is_current(engine)


def test_an_empty_database_is_not_current(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))

    assert not schema.is_current(engine)


def test_partitions_are_made_once_and_take_their_rows(engine: Engine) -> None:
    with transaction(engine) as session:
        for _ in range(2):
            ensure_delivery_partition(session, 7)
            ensure_event_partition(session, NOON)
        session.add(
            Delivery(edition_id=7, subscriber_id=1, list_id=1, batch=1, state=DeliveryState.WAITING)
        )
        session.add(
            Event(at=NOON, sequence="1-0", edition_id=7, subscriber_id=1, kind=EventKind.OPEN)
        )

    with transaction(engine) as session:
        assert session.scalars(select(Delivery.state)).all() == [DeliveryState.WAITING]
        assert session.scalars(select(Event.at)).all() == [NOON]
    schema.check(engine)

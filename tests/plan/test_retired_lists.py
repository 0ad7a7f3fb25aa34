"""What was set up for a list is at rest once the list is retired."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import Engine

from newsletter.audience.lists import retire_list
from newsletter.db import reading, transaction
from newsletter.errors import StateError
from newsletter.models import MailingList
from newsletter.plan.alarms import unready_slots
from newsletter.plan.slots import NewSlot, fill_slot, set_slot
from tests.newsroom import add_list

SEVEN = datetime(2026, 11, 20, 7, tzinfo=UTC)
SLOT = NewSlot(frozenset(range(7)), time(7), zone="UTC")


@pytest.fixture
def list_id(engine: Engine) -> int:
    """A list with a slot that nobody has filled, and that is retired."""
    found = add_list(engine)
    with transaction(engine) as session:
        set_slot(session, found, SLOT, now=SEVEN - timedelta(days=2))
        retire_list(session, "harbour", now=SEVEN - timedelta(days=1))
    return found


def test_its_slots_raise_no_alarm(engine: Engine, list_id: int) -> None:
    with reading(engine) as session:
        assert list(unready_slots(session, now=SEVEN - timedelta(minutes=5))) == []


def test_it_gets_no_slot_and_fills_none(engine: Engine, list_id: int) -> None:
    with transaction(engine) as session:
        retired = session.get_one(MailingList, list_id)

        with pytest.raises(StateError, match="was retired"):
            set_slot(session, list_id, SLOT, now=SEVEN)
        with pytest.raises(StateError, match="was retired"):
            fill_slot(session, retired, date(2026, 11, 20), 1, now=SEVEN)

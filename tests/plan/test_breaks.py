"""A reader's break until a date acts when the edition is planned, by the day that it is of."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from newsletter.audience.lists import retire_list
from newsletter.db import reading, transaction
from newsletter.errors import StateError
from newsletter.models import DeliveryState, MailingList, Past, Subscriber, Zone
from newsletter.plan import schedule
from newsletter.plan.planner import plan_edition
from newsletter.report.editions import edition_status
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    sending_edition,
    states_of,
)

TODAY = MORNING.date()
EXCLUDED, WAITING = DeliveryState.EXCLUDED, DeliveryState.WAITING


def pause(engine: Engine, subscriber_id: int, until: date, zone: str | None = None) -> None:
    with transaction(engine) as session:
        reader = session.get_one(Subscriber, subscriber_id)
        reader.break_until = until
        if zone is not None:
            row = Zone(name=zone)
            session.add(row)
            session.flush()
            reader.zone_id = row.id


def test_whoever_takes_a_break_is_excluded_until_its_date(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    ada, bo, cy = add_readers(engine, list_id, ["Ada", "Bo", "Cy"])
    pause(engine, ada, TODAY + timedelta(days=1))
    pause(engine, bo, TODAY)

    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, 25))

    assert states_of(engine, edition_id) == {ada: EXCLUDED, bo: WAITING, cy: WAITING}
    with reading(engine) as session:
        assert edition_status(session, edition_id).excluded == {"on_break": 1}


@pytest.mark.parametrize(("zone", "state"), [("Asia/Tokyo", WAITING), ("UTC", EXCLUDED)])
def test_the_day_of_an_edition_for_all_at_once_is_the_lists(
    engine: Engine, settings: Settings, zone: str, state: DeliveryState
) -> None:
    list_id = add_list(engine)
    [ada] = add_readers(engine, list_id, ["Ada"])
    pause(engine, ada, TODAY + timedelta(days=1))
    edition_id = approved_edition(engine, settings, [list_id], add_transport(engine, 25))
    evening = MORNING.replace(hour=20)  # the next morning in Tokyo

    with transaction(engine) as session:
        session.get_one(MailingList, list_id).zone = zone
        schedule.send_now(session, edition_id, now=evening)
    plan_edition(engine, edition_id, now=evening)

    assert states_of(engine, edition_id) == {ada: state}


def test_the_day_of_an_edition_at_local_time_is_the_readers(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    [ada] = add_readers(engine, list_id, ["Ada"])
    tomorrow = TODAY + timedelta(days=1)
    pause(engine, ada, tomorrow, zone="Pacific/Auckland")
    edition_id = approved_edition(engine, settings, [list_id], add_transport(engine, 25))
    # Seven in the morning of that day in Auckland is still the day before in UTC.
    due = datetime.combine(tomorrow, time(7), ZoneInfo("Pacific/Auckland"))

    with transaction(engine) as session:
        schedule.send_local(session, edition_id, tomorrow, time(7), past=Past.SEND, now=MORNING)
        assert schedule.start(session, edition_id, now=due)
    plan_edition(engine, edition_id, now=due)

    assert states_of(engine, edition_id) == {ada: WAITING}


def test_a_retired_list_gets_no_new_edition(engine: Engine, settings: Settings) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        slug = session.scalars(select(MailingList.slug)).one()
        retire_list(session, slug, now=MORNING)

    with pytest.raises(StateError, match="harbour was retired"):
        approved_edition(engine, settings, [list_id], add_transport(engine, 25))

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from newsletter.db import make_engine
from newsletter.models import ConsentEvent
from newsletter.stack.ports import free_port
from newsletter.track.spool import UnsubscribeSpool
from tests.track.people import SEVEN, mailed_morning


def test_what_is_kept_is_written_once_with_the_time_it_was_first_asked_for(
    engine: Engine, tmp_path: Path
) -> None:
    morning = mailed_morning(engine)
    spool = UnsubscribeSpool(tmp_path / "spool")
    for minute in range(3):
        asked_at = SEVEN + timedelta(minutes=minute)
        spool.keep(morning.subscription(morning.ada), at=asked_at, how="one-click")
    spool.keep(morning.subscription(morning.bo), at=SEVEN, how="page")

    assert spool.replay(engine) == 2

    assert spool.replay(engine) == 0
    with Session(engine) as session:
        events = session.scalars(select(ConsentEvent)).all()
    assert {(event.subscriber_id, event.evidence["how"], event.at) for event in events} == {
        (morning.ada, "one-click", SEVEN),
        (morning.bo, "page", SEVEN),
    }


def test_while_the_database_stays_away_everything_stays_kept(
    engine: Engine, tmp_path: Path
) -> None:
    morning = mailed_morning(engine)
    spool = UnsubscribeSpool(tmp_path / "spool")
    spool.keep(morning.subscription(morning.ada), at=SEVEN, how="one-click")
    away = make_engine(f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere")

    with pytest.raises(OperationalError):
        spool.replay(away)

    assert spool.replay(engine) == 1


def test_a_request_that_was_half_written_when_the_power_went_is_not_read(
    engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "1-1-1.7.part").write_text('{"ref": {"list')

    assert UnsubscribeSpool(tmp_path).replay(engine) == 0

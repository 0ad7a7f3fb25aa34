"""F-22, R-48: the clock is set by an hour or a day while a batch is being sent."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger, pump
from newsletter.deliver.journal import FOLDER
from newsletter.deliver.sender import Sender
from newsletter.models import Batch, BatchState, DeliveryState
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    count_states,
    sending_edition,
    settings_for,
)

HOUR = 3600
LEASE = timedelta(minutes=1)


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 24 * HOUR])
def test_a_living_workers_lease_survives(
    engine: Engine, tmp_path: Path, clock_shift: Path, seconds: int
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    edition_id = sending_edition(
        engine, settings_for(tmp_path), [list_id], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        claimed = claims.claim(session, now=utc_now(), lease=LEASE)
        assert claimed is not None
        last = claimed.readers[-1].subscriber_id
        assert ledger.intend(session, claimed.lease, upto=last, now=utc_now(), extend=LEASE)

    clock_shift.write_text(str(seconds))
    pump.turn(engine, tmp_path / FOLDER, now=utc_now())

    assert count_states(engine, edition_id) == {DeliveryState.WAITING: 2}
    with reading(engine) as session:
        assert session.get_one(Batch, (edition_id, 1)).state is BatchState.CLAIMED


@pytest.mark.parametrize("store", ["sqlite"])
def test_nothing_new_is_claimed(engine: Engine, tmp_path: Path, clock_shift: Path) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    settings = settings_for(tmp_path)
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, 25))
    clock_shift.write_text(str(HOUR))

    with Sender(engine, settings) as sender:
        assert sender.has_due_work()
        assert sender.drain(seconds=5) == 0

    assert count_states(engine, edition_id) == {DeliveryState.WAITING: 2}

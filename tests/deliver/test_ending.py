"""What an edition came to is kept when it is over, and goes with whatever is settled afterwards."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger, pump
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.deliver.settling import send_again, settle_by_evidence
from newsletter.models import BATCH_COUNTERS, EditionFigures, EditionState, Evidence, Reason
from newsletter.report.editions import edition_status
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    edition_of,
    sending_edition,
    settings_for,
)

NOW = MORNING + timedelta(minutes=1)


@pytest.fixture
def over(engine: Engine, tmp_path: Path) -> int:
    """An edition that is over: two people were sent it, one refused it, one is in doubt."""
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(4)])
    edition_id = sending_edition(
        engine, settings_for(tmp_path), [list_id], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        claim = claims.claim(session, now=NOW, lease=timedelta(minutes=1))
        assert claim is not None
        people = [reader.subscriber_id for reader in claim.readers]
        outcomes = [
            outcome_of(person, Reply(code, None, ""))
            for person, code in zip(people, (250, 250, 550), strict=False)
        ]
        ledger.record(session, claim.lease, outcomes, revision=1, at=NOW)
        ledger.doubt(session, claim.lease, [people[3]], reason=Reason.ANSWER_LOST, at=NOW)
        ledger.give_back(session, claim.lease, due_at=NOW)
    pump.turn(engine, tmp_path, now=NOW)
    assert edition_of(engine, edition_id).state is EditionState.SENT
    return edition_id


def kept(engine: Engine, edition_id: int) -> dict[str, int | None]:
    with reading(engine) as session:
        figures = session.get_one(EditionFigures, edition_id)
        return {name: getattr(figures, name) for name in BATCH_COUNTERS if getattr(figures, name)}


def test_the_pump_keeps_the_sums_of_an_edition_that_it_ends(engine: Engine, over: int) -> None:
    assert kept(engine, over) == {"people": 4, "sent": 2, "failed": 1, "uncertain": 1}
    assert_ledger_is_exact(engine, over)


def test_what_is_settled_afterwards_is_in_them(engine: Engine, over: int) -> None:
    with transaction(engine) as session:
        settle_by_evidence(session, over, [4], Evidence.OPEN, NOW)

    assert kept(engine, over) == {"people": 4, "sent": 3, "failed": 1}
    assert_ledger_is_exact(engine, over)


def test_an_edition_that_goes_on_is_read_from_its_batches_again(
    engine: Engine, over: int, tmp_path: Path
) -> None:
    with transaction(engine) as session:
        send_again(session, over, [4], Evidence.PERSON, NOW, by="Ed")

    with reading(engine) as session:
        status = edition_status(session, over)
    assert (status.waiting, status.uncertain) == (1, 0)
    assert_ledger_is_exact(engine, over)

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.errors import NotFoundError
from newsletter.models import EditionState, Reason, SubscriptionStatus
from newsletter.report.editions import EditionStatus, edition_status
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    sending_edition,
    settings_for,
)


def status_of(engine: Engine, edition_id: int) -> EditionStatus:
    with reading(engine) as session:
        return edition_status(session, edition_id)


def test_planned_is_the_sum_of_all_that_became_of_people(engine: Engine, tmp_path: Path) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(5)])
    add_readers(engine, list_id, ["gone"], status=SubscriptionStatus.UNSUBSCRIBED)
    edition_id = sending_edition(
        engine, settings_for(tmp_path), [list_id], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        claim = claims.claim(session, now=MORNING, lease=timedelta(minutes=1))
        assert claim is not None
        people = [reader.subscriber_id for reader in claim.readers]
        outcomes = [
            outcome_of(person, Reply(code, None, ""))
            for person, code in zip(people, (250, 550, 451), strict=False)
        ]
        ledger.record(session, claim.lease, outcomes, revision=1, at=MORNING)
        ledger.doubt(session, claim.lease, [people[3]], reason=Reason.ANSWER_LOST, at=MORNING)

    status = status_of(engine, edition_id)

    assert (status.planned, status.waiting, status.deferred, status.sent) == (6, 1, 1, 1)
    assert (status.failed, status.uncertain, status.cancelled) == (1, 1, 0)
    assert status.excluded == {"unsubscribed": 1}
    assert status.settled == 4
    assert not status.is_over
    assert_ledger_is_exact(engine, edition_id)


def test_an_edition_that_was_never_sent_has_figures_of_nought(
    engine: Engine, tmp_path: Path
) -> None:
    edition_id = approved_edition(
        engine, settings_for(tmp_path), [add_list(engine)], add_transport(engine, 25)
    )

    status = status_of(engine, edition_id)

    assert status.state is EditionState.APPROVED
    assert (status.planned, status.opens, status.clicks, status.excluded) == (0, 0, 0, {})
    assert status.to_json()["state"] == "approved"


def test_an_edition_that_does_not_exist_is_not_found(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="no edition 5"):
        status_of(engine, 5)

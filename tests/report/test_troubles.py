"""Who is in trouble, page by page: the same work, however many were before they were mailed after all."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.outcome import Reply, outcome_of
from newsletter.models import Attempt, DeliveryState, Reason
from newsletter.report.sending import PAGE, Trouble, people_in_trouble
from tests.newsroom import MORNING, add_list, add_readers, add_transport, sending_edition
from tests.newsroom import settings_for as newsroom_settings

FAILED, DEFERRED = DeliveryState.FAILED, DeliveryState.DEFERRED
READERS = 60


def settled_edition(engine: Engine, folder: Path, codes: dict[int, int]) -> tuple[int, list[int]]:
    """An edition whose readers were answered `codes` by their place, and 250 else; it and they."""
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(READERS)])
    edition_id = sending_edition(
        engine, newsroom_settings(folder), [list_id], add_transport(engine, 25)
    )
    with transaction(engine) as session:
        claim = claims.claim(session, now=MORNING, lease=timedelta(minutes=1))
        assert claim is not None
        people = [reader.subscriber_id for reader in claim.readers]
        outcomes = [
            outcome_of(person, Reply(codes.get(place, 250), None, ""))
            for place, person in enumerate(people)
        ]
        ledger.record(session, claim.lease, outcomes, revision=1, at=MORNING)
    return edition_id, people


def pages(engine: Engine, edition_id: int, state: DeliveryState) -> Iterator[list[Trouble]]:
    before = None
    while True:
        with reading(engine) as session:
            page = people_in_trouble(session, edition_id, state, before=before)
        yield list(page.people)
        if page.older is None:
            return
        before = page.older


def test_pages_hold_everybody_once_and_the_newest_first(engine: Engine, tmp_path: Path) -> None:
    edition_id, people = settled_edition(engine, tmp_path, dict.fromkeys(range(55), 550))

    first, second = pages(engine, edition_id, FAILED)

    assert (len(first), len(second)) == (PAGE, 5)
    tries = [each.id for each in first + second]
    assert tries == sorted(tries, reverse=True)
    assert {each.subscriber_id for each in first + second} == set(people[:55])


def test_whoever_is_in_another_state_by_now_is_passed_over(engine: Engine, tmp_path: Path) -> None:
    edition_id, people = settled_edition(engine, tmp_path, {0: 550, 1: 451})
    mailed_since(engine, edition_id, people[2], tries=9_000)

    failed = list(pages(engine, edition_id, FAILED))
    deferred = list(pages(engine, edition_id, DEFERRED))

    assert [[each.subscriber_id for each in page] for page in failed] == [[], [people[0]]]
    assert [[each.subscriber_id for each in page] for page in deferred] == [[people[1]]]


@pytest.mark.parametrize("state", [FAILED, DEFERRED, DeliveryState.UNCERTAIN])
def test_an_edition_without_trouble_has_one_empty_page(
    engine: Engine, tmp_path: Path, state: DeliveryState
) -> None:
    edition_id, people = settled_edition(engine, tmp_path, {})
    mailed_since(engine, edition_id, people[0], tries=3)

    assert list(pages(engine, edition_id, state)) == [[]]


def mailed_since(engine: Engine, edition_id: int, subscriber_id: int, *, tries: int) -> None:
    """So often was somebody put off before a server took the mail."""
    row = {
        "edition_id": edition_id,
        "subscriber_id": subscriber_id,
        "at": MORNING,
        "state": DEFERRED,
        "reason": Reason.REFUSED,
        "reply": "",
    }
    with transaction(engine) as session:
        session.execute(insert(Attempt), [row] * tries)

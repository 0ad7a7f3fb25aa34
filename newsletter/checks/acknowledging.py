"""Remembers which warnings of an edition somebody knows about and puts up with."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.compose.findings import Finding, Severity
from newsletter.errors import InputError
from newsletter.models import Acknowledgement


def fingerprint(finding: Finding) -> str:
    """The same for the same words about the same thing, wherever in the text that has moved to."""
    said = "\0".join((finding.code, finding.severity, finding.message))
    return hashlib.sha256(said.encode()).hexdigest()


def acknowledge(
    session: Session,
    edition_id: int,
    name: str,
    *,
    findings: Iterable[Finding],
    by: str,
    now: datetime,
) -> list[Finding]:
    """Put up with the warnings among `findings` that `name` means: a code, or one's fingerprint.

    Raises `InputError` when it means none, or an error.
    """
    meant = [each for each in findings if name in (each.code, fingerprint(each))]
    if not meant:
        raise InputError(
            "{name}: there is no such finding any more; look at the checks again.", name=name
        )
    if any(each.severity is Severity.ERROR for each in meant):
        raise InputError(
            "{code} is an error: mend it. Only an admin can let it pass.", code=meant[0].code
        )
    for each in meant:
        session.merge(
            Acknowledgement(
                edition_id=edition_id,
                fingerprint=fingerprint(each),
                code=each.code,
                message=each.message,
                at=now,
                by=by,
            )
        )
    session.flush()
    return meant


def take_back(session: Session, edition_id: int, fingerprint: str) -> None:
    """The warning counts again."""
    session.execute(
        delete(Acknowledgement).where(
            Acknowledgement.edition_id == edition_id, Acknowledgement.fingerprint == fingerprint
        )
    )


def acknowledged_in(session: Session, edition_id: int) -> dict[str, Acknowledgement]:
    """By fingerprint."""
    rows = session.scalars(select(Acknowledgement).where(Acknowledgement.edition_id == edition_id))
    return {each.fingerprint: each for each in rows}

"""What proves a person's consents: who agreed to what, when, from where and to which words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import ConsentEvent, ConsentKind, Import, MailingList


@dataclass(frozen=True, slots=True)
class Evidence:
    list_slug: str
    kind: ConsentKind
    at: datetime
    details: dict[str, Any]
    """As whoever wrote it knew them: of a form its address, words and version, the times, the
    network address and browser of both steps, and the confirmation mail's Message-ID; of an import
    the file with its hash, the line, who brought it, by what right, and what the old system knew.
    """


def evidence_of(session: Session, subscriber_id: int) -> list[Evidence]:
    """Oldest first."""
    rows = session.execute(
        select(MailingList.slug, ConsentEvent)
        .join(ConsentEvent, ConsentEvent.list_id == MailingList.id)
        .where(ConsentEvent.subscriber_id == subscriber_id)
        .order_by(ConsentEvent.id)
    ).all()
    imports = _imports(session, {event.evidence.get("import") for _, event in rows})
    return [
        Evidence(
            slug,
            event.kind,
            event.at,
            {**imports.get(event.evidence.get("import"), {}), **event.evidence},
        )
        for slug, event in rows
    ]


def _imports(session: Session, numbers: set[int | None]) -> dict[int | None, dict[str, Any]]:
    """What each import proves of all its people: the file, who brought it, and by what right."""
    found = session.scalars(select(Import).where(Import.id.in_(numbers - {None})))
    return {
        job.id: {
            "file": job.file_name,
            "sha256": job.sha256,
            "by": job.by,
            "basis": job.basis,
            "note": job.note,
        }
        for job in found
    }

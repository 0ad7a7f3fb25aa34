"""What proves a person's consents: who agreed to what, when, from where and to which words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import ConsentEvent, ConsentKind, MailingList


@dataclass(frozen=True, slots=True)
class Evidence:
    list_slug: str
    kind: ConsentKind
    at: datetime
    details: dict[str, Any]
    """As whoever wrote it knew them: of a form its address, words and version, the times, the
    network address and browser of both steps, and the confirmation mail's Message-ID.
    """


def evidence_of(session: Session, subscriber_id: int) -> list[Evidence]:
    """Oldest first."""
    rows = session.execute(
        select(MailingList.slug, ConsentEvent)
        .join(ConsentEvent, ConsentEvent.list_id == MailingList.id)
        .where(ConsentEvent.subscriber_id == subscriber_id)
        .order_by(ConsentEvent.id)
    )
    return [Evidence(slug, event.kind, event.at, event.evidence) for slug, event in rows]

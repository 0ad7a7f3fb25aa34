"""Reads from a relay's log which messages it had taken; Postfix's lines, and those like them.

Postfix names a message by its queue id and says once which Message-ID that is; a line that holds
both a Message-ID and a status needs no queue id.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy.orm import Session

from newsletter.deliver.settling import settle_by_evidence
from newsletter.errors import TokenError
from newsletter.models import Evidence
from newsletter.settings import Settings
from newsletter.tokens import Purpose, Tokens

_QUEUE_ID = re.compile(r"\]: ([0-9A-Za-z]{6,20}): ")
_MESSAGE_ID = re.compile(r"\bmessage-id=<([^<>@\s]{1,100})@([^<>@\s]{1,255})>", re.IGNORECASE)
# Whatever became of it afterwards: to have one of these the relay must have taken the message.
_STATUS = re.compile(r"\bstatus=(?:sent|bounced|deferred|expired)\b")
_REMOVED = re.compile(r"\]: [0-9A-Za-z]{6,20}: removed\b")


def messages_taken(lines: Iterable[str], *, mail_domain: str) -> Iterator[str]:
    """The part before the @ of each Message-ID of ours that the log has a status for."""
    waiting: dict[str, str] = {}
    for line in lines:
        queue_id = _queue_id(line)
        message_id = _message_id(line, mail_domain)
        has_status = _STATUS.search(line) is not None
        if message_id is not None and has_status:
            yield message_id
        elif message_id is not None and queue_id is not None:
            waiting[queue_id] = message_id
        elif has_status and queue_id in waiting:
            yield waiting[queue_id]
        elif queue_id is not None and _REMOVED.search(line):
            waiting.pop(queue_id, None)  # it may name another message tomorrow


def settle_by_relay_log(
    session: Session,
    edition_id: int,
    lines: Iterable[str],
    *,
    settings: Settings,
    at: datetime,
    by: str,
) -> int:
    """Whoever is in doubt and whose message the log has is sent. Returns how many were in doubt."""
    tokens = Tokens(settings.secret_keys)
    people = set()
    for token in messages_taken(lines, mail_domain=settings.mail_domain):
        try:
            delivery = tokens.read_delivery(Purpose.MESSAGE_ID, token)
        except TokenError:
            continue  # another sender's, or one that somebody made up
        if delivery.edition_id == edition_id:
            people.add(delivery.subscriber_id)
    return settle_by_evidence(session, edition_id, sorted(people), Evidence.RELAY, at, by=by)


def _queue_id(line: str) -> str | None:
    found = _QUEUE_ID.search(line)
    return found[1] if found else None


def _message_id(line: str, mail_domain: str) -> str | None:
    found = _MESSAGE_ID.search(line)
    return found[1] if found and found[2].lower() == mail_domain.lower() else None

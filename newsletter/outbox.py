"""Posts one mail to one person: a row that commits with whatever made it needed, and a bell."""

import hashlib
import logging
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from newsletter.addresses import Address, parse_address
from newsletter.db import insert_or_ignore
from newsletter.errors import AddressError
from newsletter.models import SystemMail, SystemMailKind, SystemMailState
from newsletter.queue import Job, enqueue_after_commit
from newsletter.settings import get_settings

logger = logging.getLogger(__name__)

REFERENCE_BYTES = 12


def post(
    session: Session,
    kind: SystemMailKind,
    *,
    to: Address,
    data: Mapping[str, Any],
    list_id: int | None = None,
    dedupe: str | None = None,
    reference: str | None = None,
    now: datetime,
) -> int | None:
    """The new mail's id; None when one with the same `dedupe` was posted before.

    `list_id` is the list whose sender and transport it leaves with. `dedupe` has 120 characters at
    most. `reference`, if somebody must know it, is of as many bytes as the random one.
    """
    insert = insert_or_ignore(session, SystemMail).returning(SystemMail.id)
    row = {
        # Hexadecimal, since some servers fold return paths to lower case.
        "reference": reference or secrets.token_hex(REFERENCE_BYTES),
        "kind": kind,
        "to_address": str(to),
        "list_id": list_id,
        "data": dict(data),
        "state": SystemMailState.WAITING,
        "next_at": now,
        "dedupe": dedupe,
        "created_at": now,
    }
    mail_id = session.scalar(insert, row)
    if mail_id is not None:
        enqueue_after_commit(session, Job.SEND_SYSTEM_MAIL)
    return mail_id


def alarm_desk(
    session: Session,
    subject: str,
    text: str,
    *,
    dedupe: str,
    list_id: int | None = None,
    now: datetime,
) -> int:
    """Mail the desk that something needs a person, once for each `dedupe`.

    `text` may have several paragraphs, with an empty line between two. Returns how many addresses
    will get it; an address that cannot be mailed is logged, and never stops whoever raises the alarm.
    """
    posted = 0
    for address in _desk():
        mail_id = post(
            session,
            SystemMailKind.ALARM,
            to=address,
            data={"subject": subject, "paragraphs": text.strip().split("\n\n")},
            list_id=list_id,
            dedupe=_digest(dedupe, address.key),
            now=now,
        )
        posted += mail_id is not None
    return posted


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _desk() -> list[Address]:
    addresses = []
    for text in (get_settings().desk_addresses or "").split(","):
        try:
            addresses += [parse_address(text)] if text.strip() else []
        except AddressError as error:
            logger.warning("desk address cannot be mailed", extra={"error": str(error)})
    return addresses

"""What a form's post leaves behind: one row, the same for everybody, and a bell for whoever answers.

Nobody is looked up here, so that neither what the answer says nor how long it takes tells whether an
address is known.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash
from newsletter.audience.fields import CONTROL_CHARACTER, find_language
from newsletter.audience.zones import find_zone
from newsletter.db import changed, transaction
from newsletter.models import MailingList, RequestKind, SignupRequest
from newsletter.queue import Job, enqueue_after_commit
from newsletter.tokens import REFERENCE_BYTES

LIFETIME = timedelta(days=7)
"""How long a request can be confirmed, and how long anything is known of who never did."""
LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Visit:
    """Where a browser is, and what it calls itself."""

    ip: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Form:
    """What was asked with a form, and what it said; all but the address and the lists is a guess."""

    address: Address
    lists: Sequence[MailingList]
    language: str
    zone: str
    wording: str
    url: str
    visit: Visit


def request_signup(session: Session, form: Form, *, now: datetime) -> None:
    _keep(session, RequestKind.SIGN_UP, form, now)


def request_link(session: Session, form: Form, *, now: datetime) -> None:
    """Whoever is on a list is to get the link to their own settings."""
    _keep(session, RequestKind.LINK, form, now)


def lists_open_to_all(session: Session) -> list[MailingList]:
    """Those that a stranger may join, by name."""
    return list(
        session.scalars(
            select(MailingList)
            .where(MailingList.is_public, MailingList.retired_at.is_(None))
            .order_by(MailingList.name, MailingList.id)
        )
    )


def forget_requests(engine: Engine, *, now: datetime) -> int:
    """Delete what nobody confirmed in time; of what was confirmed, the consents hold the evidence."""
    with transaction(engine) as session:
        old = delete(SignupRequest).where(SignupRequest.requested_at < now - LIFETIME)
        return changed(session, old)


def new_reference() -> str:
    return secrets.token_hex(REFERENCE_BYTES)


def version_of(wording: str) -> str:
    """Names one wording of a form; the same words have the same name for ever."""
    return hashlib.sha256(wording.encode()).hexdigest()[:16]


def one_line(text: str) -> str:
    """What a stranger's browser sent, as a row may keep it."""
    return CONTROL_CHARACTER.sub(" ", text)[:LONGEST_TEXT]


def _keep(session: Session, kind: RequestKind, form: Form, now: datetime) -> None:
    session.add(
        SignupRequest(
            reference=new_reference(),
            kind=kind,
            address=str(form.address),
            address_hash=address_hash(form.address),
            list_ids=[mailing_list.id for mailing_list in form.lists],
            language=find_language(form.language),
            zone=find_zone(form.zone),
            wording=form.wording,
            form_url=form.url,
            ip=form.visit.ip,
            user_agent=one_line(form.visit.user_agent),
            requested_at=now,
        )
    )
    enqueue_after_commit(session, Job.ANSWER_SIGNUPS)

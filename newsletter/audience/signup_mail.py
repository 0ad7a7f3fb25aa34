"""The mails that answer a request: which list they come from, what they name, where they lead.

None of them carries a word that a stranger wrote; names are those of our own lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.models import (
    Edition,
    EditionList,
    MailingList,
    Revision,
    SignupRequest,
    Subscriber,
    SystemMailKind,
)
from newsletter.outbox import post
from newsletter.settings import Settings
from newsletter.tokens import ADDRESS_MARK_BYTES, PersonRef, Purpose, SubscriptionRef, Tokens

NO_EDITION = 0
"""In the leaving link of a mail that is no edition's."""


@dataclass(frozen=True, slots=True)
class Links:
    base_url: str
    mail_domain: str
    tokens: Tokens

    @classmethod
    def of(cls, settings: Settings) -> "Links":
        return cls(settings.base_url, settings.mail_domain, Tokens(settings.secret_keys))

    def confirm(self, reference: str) -> str:
        return f"{self.base_url}/confirm/{self.tokens.confirmation(reference)}"

    def refuse(self, address_hash: bytes) -> str:
        return f"{self.base_url}/not-me/{self.tokens.refusal(address_hash)}"

    def leave(self, list_id: int, subscriber_id: int) -> str:
        ref = SubscriptionRef(list_id, NO_EDITION, subscriber_id)
        return f"{self.base_url}/u/{self.tokens.unsubscribe(ref)}"

    def edition(self, public_id: str) -> str:
        return f"{self.base_url}/e/{public_id}"

    def link_form(self) -> str:
        return f"{self.base_url}/link"

    def settings(self, person: Subscriber, *, now: datetime) -> str:
        return f"{self.base_url}/my/{self._of_person(Purpose.SETTINGS, person, now)}"

    def data(self, person: Subscriber, *, now: datetime) -> str:
        return f"{self.base_url}/my-data/{self._of_person(Purpose.DATA, person, now)}"

    def erase(self, person: Subscriber, *, now: datetime) -> str:
        return f"{self.base_url}/erase-me/{self._of_person(Purpose.ERASE, person, now)}"

    def move(self, reference: str, *, is_new: bool) -> str:
        return f"{self.base_url}/move/{self.tokens.move(reference, is_new=is_new)}"

    def message_id(self, reference: str) -> str:
        return f"<s-{reference}@{self.mail_domain}>"

    def _of_person(self, purpose: Purpose, person: Subscriber, now: datetime) -> str:
        mark = person.address_hash[:ADDRESS_MARK_BYTES]
        return self.tokens.of_person(purpose, PersonRef(person.id, now, mark))


def post_confirm(
    session: Session,
    request: SignupRequest,
    lists: Sequence[MailingList],
    *,
    person: Subscriber | None,
    links: Links,
    now: datetime,
) -> None:
    """`person` is the one who has the address already, in whose language it is then written."""
    _post_question(session, SystemMailKind.CONFIRM, request, lists, person, links, now)


def post_invitation(
    session: Session,
    request: SignupRequest,
    mailing_list: MailingList,
    *,
    person: Subscriber | None,
    links: Links,
    now: datetime,
) -> None:
    _post_question(session, SystemMailKind.INVITE, request, [mailing_list], person, links, now)


def post_welcome(
    session: Session,
    person: Subscriber,
    lists: Sequence[MailingList],
    *,
    reference: str | None = None,
    links: Links,
    now: datetime,
) -> None:
    data = {
        "editions": [
            {"title": title, "url": links.edition(public_id)}
            for title, public_id in latest_editions(session, lists)
        ]
    }
    _post_to(session, SystemMailKind.WELCOME, person, lists, data, reference, links, now)


def post_already(
    session: Session,
    person: Subscriber,
    lists: Sequence[MailingList],
    *,
    reference: str,
    links: Links,
    now: datetime,
) -> None:
    """They are on all these lists, and somebody asked for them once more."""
    _post_to(session, SystemMailKind.ALREADY, person, lists, {}, reference, links, now)


def post_link(
    session: Session,
    person: Subscriber,
    lists: Sequence[MailingList],
    *,
    reference: str,
    links: Links,
    now: datetime,
) -> None:
    data = {"settings_url": links.settings(person, now=now)}
    _post_to(session, SystemMailKind.LINK, person, lists, data, reference, links, now)


def latest_editions(session: Session, lists: Sequence[MailingList]) -> list[tuple[str, str]]:
    """Title and public id of each list's newest edition that is on the web, each edition once."""
    found: dict[str, str] = {}
    for mailing_list in lists:
        row = session.execute(
            select(Revision.subject, Edition.public_id)
            .join(EditionList, EditionList.edition_id == Edition.id)
            .join(
                Revision,
                and_(
                    Revision.edition_id == Edition.id,
                    Revision.number == Edition.approved_revision,
                ),
            )
            .where(EditionList.list_id == mailing_list.id, Edition.is_on_the_web())
            .order_by(Edition.started_at.desc(), Edition.id.desc())
            .limit(1)
        ).one_or_none()
        if row is not None:
            found[row.public_id] = row.subject
    return [(title, public_id) for public_id, title in found.items()]


def _post_question(
    session: Session,
    kind: SystemMailKind,
    request: SignupRequest,
    lists: Sequence[MailingList],
    person: Subscriber | None,
    links: Links,
    now: datetime,
) -> None:
    language = (person.language if person else None) or request.language
    data = {
        "confirm_url": links.confirm(request.reference),
        "refuse_url": links.refuse(request.address_hash),
    }
    post(
        session,
        kind,
        to=parse_address(request.address),
        data=_common(lists, language) | data,
        list_id=lists[0].id,
        reference=request.reference,
        now=now,
    )


def _post_to(
    session: Session,
    kind: SystemMailKind,
    person: Subscriber,
    lists: Sequence[MailingList],
    data: dict[str, Any],
    reference: str | None,
    links: Links,
    now: datetime,
) -> None:
    memberships = [
        {"name": each.name, "leave_url": links.leave(each.id, person.id)} for each in lists
    ]
    common = {"memberships": memberships, "link_url": links.link_form()}
    post(
        session,
        kind,
        to=parse_address(person.address),
        data=_common(lists, person.language) | common | data,
        list_id=lists[0].id if lists else None,
        reference=reference,
        now=now,
    )


def _common(lists: Sequence[MailingList], language: str | None) -> dict[str, Any]:
    return {
        "language": language or (lists[0].language if lists else "en"),
        "lists": [each.name for each in lists],
        "postal_address": lists[0].postal_address if lists else "",
    }

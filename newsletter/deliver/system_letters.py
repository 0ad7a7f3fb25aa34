"""Makes of an outbox row what goes on the wire: envelope and signed content, and through which servers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.deliver.dkim import Signer
from newsletter.deliver.dkim_keys import keys_for, signing_key
from newsletter.deliver.holds import open_holds
from newsletter.deliver.system_mail import Held
from newsletter.deliver.transports import endpoint_of
from newsletter.deliver.wire import Endpoint, Envelope, Parcel, parcel_of
from newsletter.errors import RenderError, StateError
from newsletter.models import (
    Carries,
    CompiledEdition,
    EditionTransport,
    HoldScope,
    ListTransport,
    MailingList,
    SystemMail,
    SystemMailKind,
    Transport,
)
from newsletter.plan.transports import first_transport
from newsletter.render.compiled import Compiled
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.render.system import SystemLetter, marked_as_test, system_message
from newsletter.settings import Settings
from newsletter.tokens import FIRST_TEST_READER, Tokens

OUR_NAME = "Newsletter"
OUR_LOCAL_PART = "newsletter"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One claimed mail, ready; `endpoints` are tried in their order."""

    held: Held
    parcel: Parcel
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class _Written:
    message: bytes
    mail_from: str
    sender_domain: str
    transports: Sequence[Transport]


def write(
    session: Session, mail: SystemMail, *, settings: Settings, tokens: Tokens, now: datetime
) -> Outgoing:
    """Raises `InputError` and `RenderError` when no message can be made of it, `SettingError`,
    `NotFoundError` and `StateError` when something is missing to send it.
    """
    if mail.kind is SystemMailKind.TEST:
        written = _write_test(session, mail, tokens)
    else:
        written = _write_from_template(session, mail, settings)
    signer = Signer(signing_key(key) for key in keys_for(session, written.sender_domain))
    content = signer.sign(written.message, at=mail.created_at)
    return Outgoing(
        held=Held(mail.id, mail.lease_token),
        parcel=parcel_of(Envelope(written.mail_from, mail.to_address), content),
        endpoints=tuple(
            endpoint_of(each, settings) for each in _usable(session, written.transports, now)
        ),
    )


def _write_test(session: Session, mail: SystemMail, tokens: Tokens) -> _Written:
    """A reader's copy in everything but its subject, and that its links name nobody."""
    edition_id, revision, list_id = (
        int(mail.data[key]) for key in ("edition_id", "revision", "list_id")
    )
    stored = session.get(CompiledEdition, (edition_id, revision, list_id))
    if stored is None:
        raise RenderError(
            "revision {revision} of edition {edition} is gone",
            revision=revision,
            edition=edition_id,
        )
    compiled = Compiled.from_bytes(stored.form)
    assembler = Assembler(replace(compiled, subject=marked_as_test(compiled.subject)), tokens)
    joined_on = mail.data["joined_on"]
    recipient = Recipient(
        subscriber_id=FIRST_TEST_READER + mail.id,
        list_id=list_id,
        address=parse_address(mail.to_address),
        name=mail.data["name"],
        joined_on=date.fromisoformat(joined_on) if joined_on else None,
        hidden=int(mail.data.get("hidden", 0)),
    )
    letter = assembler.letter(recipient, date=mail.created_at)
    return _Written(
        message=letter.content,
        mail_from=letter.return_path,
        sender_domain=assembler.sender_domain,
        transports=[_transport_of_edition(session, edition_id, list_id)],
    )


def _write_from_template(session: Session, mail: SystemMail, settings: Settings) -> _Written:
    domain = settings.mail_domain
    mailing_list = session.get(MailingList, mail.list_id) if mail.list_id else None
    sender_address = f"{OUR_LOCAL_PART}@{domain}"
    if mailing_list is not None:
        sender_address = str(parse_address(mailing_list.sender_address))
    letter = SystemLetter(
        name=mail.kind.value,
        data=mail.data,
        sender_name=mailing_list.sender_name if mailing_list else OUR_NAME,
        sender_address=sender_address,
        to_address=mail.to_address,
        message_id=f"s-{mail.reference}@{domain}",
        date=mail.created_at,
        base_url=settings.base_url,
        language=mail.data.get("language") or (mailing_list.language if mailing_list else "en"),
    )
    return _Written(
        message=system_message(letter),
        mail_from=f"s-{mail.reference}@{domain}",
        sender_domain=sender_address.rpartition("@")[2],
        transports=_transports_for_system_mail(session, mailing_list),
    )


def _transport_of_edition(session: Session, edition_id: int, list_id: int) -> Transport:
    """The first one that the edition may use: frozen at its approval, before that its list's."""
    frozen = session.scalar(
        select(Transport)
        .join(EditionTransport, EditionTransport.transport_id == Transport.id)
        .where(EditionTransport.edition_id == edition_id)
        .order_by(EditionTransport.weight.desc(), Transport.id)
        .limit(1)
    )
    of_list = select(ListTransport.transport_id).where(ListTransport.list_id == list_id)
    candidate = frozen or session.scalar(
        select(Transport)
        .where(Transport.carries != Carries.SYSTEM)
        .order_by(Transport.id.in_(of_list).desc(), Transport.weight.desc(), Transport.id)
        .limit(1)
    )
    return candidate or first_transport(session)


def _transports_for_system_mail(
    session: Session, mailing_list: MailingList | None
) -> Sequence[Transport]:
    """All that may carry it, the list's own first, those for nothing else before the others."""
    preferred = mailing_list.transport_id if mailing_list else None
    found = session.scalars(
        select(Transport)
        .where(Transport.carries != Carries.EDITIONS)
        .order_by(
            (Transport.id == (preferred or 0)).desc(),
            (Transport.carries == Carries.SYSTEM).desc(),
            Transport.id,
        )
    ).all()
    return found or [first_transport(session)]


def _usable(session: Session, transports: Sequence[Transport], now: datetime) -> list[Transport]:
    """Without those that a person holds, and those in trouble last. Raises `StateError`."""
    held = {
        each.transport_id: each
        for each in open_holds(session, now=now)
        if each.scope is HoldScope.TRANSPORT
    }
    usable = [
        each for each in transports if each.id not in held or held[each.id].probe_at is not None
    ]
    if not usable:
        raise StateError("the transport is held by hand; see: newsletter transport status")
    return sorted(usable, key=lambda each: each.id in held)

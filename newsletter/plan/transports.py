"""The transports mail may leave through: setting them up, and what an edition may choose from."""

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.errors import InputError, NotFoundError
from newsletter.models import (
    Auth,
    Carries,
    Edition,
    EditionTransport,
    ListTransport,
    MailingList,
    Pacing,
    Security,
    Transport,
)
from newsletter.plan.rates import Rate
from newsletter.sealing import seal

MOST_CONNECTIONS = 200
MOST_WEIGHT = 1000
UNLIMITED = "none"
_DEFAULT_PORT = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
_SCHEMES = {
    "smtp": Security.NONE,
    "smtp+starttls": Security.STARTTLS,
    "smtps": Security.TLS,
}
_NONE = (
    "There is no transport to send through; "
    "add one with: newsletter transport set NAME smtp+starttls://user:password@host:587"
)
_FORM = (
    "Write the transport as smtp+starttls://user:password@host:587, "
    "smtps://user:password@host:465 or smtp://host:25; "
    "?auth=plain, login or xoauth2 behind it says how to sign in."
)


def set_transport(
    session: Session,
    name: str,
    url: str,
    *,
    connections: int,
    pacing: Pacing = Pacing.PROVIDERS,
) -> Transport:
    """Add the transport, or change where the one of that name leads.

    `url` is `smtp+starttls://user:password@relay.example.org:587`; `smtps://` is TLS from the
    first byte, `smtp://` is unencrypted; `?auth=xoauth2` makes the password an access token.
    Raises `InputError` for anything else.
    """
    parts = urlsplit(url)
    security = _SCHEMES.get(parts.scheme)
    try:
        port = parts.port
    except ValueError as error:
        message = f"The port in {parts.hostname!r}'s address is not a number."
        raise InputError(message) from error
    if security is None or not parts.hostname or parts.path.strip("/"):
        raise InputError(_FORM)
    auth = _auth(parts.query)
    _check(connections, "connections", 1, MOST_CONNECTIONS)
    transport = session.scalar(select(Transport).where(Transport.name == name))
    if transport is None:
        transport = Transport(name=name, pacing=pacing)
        session.add(transport)
    transport.host = parts.hostname
    transport.port = port or _DEFAULT_PORT[security]
    transport.security = security
    transport.auth = auth
    transport.username = unquote(parts.username) if parts.username else None
    transport.sealed_password = seal(unquote(parts.password)) if parts.password else None
    transport.connections = connections
    session.flush()
    return transport


def change_transport(
    session: Session,
    name: str,
    *,
    connections: int | None = None,
    pacing: Pacing | None = None,
    rate: str | None = None,
    weight: int | None = None,
    carries: Carries | None = None,
) -> Transport:
    """Change what is not None; the rate `none` is no rate.

    Raises `NotFoundError`, and `InputError` for an odd number.
    """
    transport = transport_of_name(session, name)
    if connections is not None:
        _check(connections, "connections", 1, MOST_CONNECTIONS)
        transport.connections = connections
    if weight is not None:
        _check(weight, "weight", 0, MOST_WEIGHT)
        transport.weight = weight
    if rate is not None:
        transport.rate = None if rate == UNLIMITED else str(Rate.parse(rate))
    transport.pacing = pacing or transport.pacing
    transport.carries = carries or transport.carries
    session.flush()
    return transport


def transport_of_name(session: Session, name: str) -> Transport:
    transport = session.scalar(select(Transport).where(Transport.name == name))
    if transport is None:
        message = f"There is no transport {name!r}; see: newsletter transport list"
        raise NotFoundError(message)
    return transport


def assign_transports(
    session: Session, mailing_list: MailingList, transports: Iterable[Transport]
) -> None:
    """Let the list's editions leave through these only; through any when there are none."""
    session.execute(delete(ListTransport).where(ListTransport.list_id == mailing_list.id))
    for each in transports:
        session.add(ListTransport(list_id=mailing_list.id, transport_id=each.id))
    session.flush()


def freeze_choice(
    session: Session, edition: Edition, lists: Sequence[MailingList]
) -> list[Transport]:
    """Note with the edition what it may leave through from now on.

    The first of its lists that has a choice of its own decides, else every transport that carries
    editions may be used. Raises `NotFoundError` when there is none.
    """
    transports = possible_transports(session, lists)
    if not transports:
        raise NotFoundError(_NONE)
    session.execute(delete(EditionTransport).where(EditionTransport.edition_id == edition.id))
    for each in transports:
        session.add(
            EditionTransport(edition_id=edition.id, transport_id=each.id, weight=each.weight)
        )
    edition.transport_id = transports[0].id
    session.flush()
    return transports


def first_transport(session: Session) -> Transport:
    """The installation's first. Raises `NotFoundError` when nobody set one up."""
    transport = session.scalar(select(Transport).order_by(Transport.id).limit(1))
    if transport is None:
        raise NotFoundError(_NONE)
    return transport


def possible_transports(session: Session, lists: Sequence[MailingList]) -> list[Transport]:
    """What an edition to these lists would leave through, those with the greatest weight first."""
    carrying = (
        select(Transport)
        .where(Transport.carries.in_((Carries.ALL, Carries.EDITIONS)))
        .order_by(Transport.weight.desc(), Transport.id)
    )
    for each in lists:
        of_list = select(ListTransport.transport_id).where(ListTransport.list_id == each.id)
        chosen = session.scalars(carrying.where(Transport.id.in_(of_list))).all()
        if chosen:
            return list(chosen)
    return list(session.scalars(carrying))


def _auth(query: str) -> Auth | None:
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if not asked:
        return None
    if asked.keys() != {"auth"} or asked["auth"] not in set(Auth):
        raise InputError(_FORM)
    return Auth(asked["auth"])


def _check(number: int, name: str, least: int, most: int) -> None:
    if not least <= number <= most:
        message = f"{name} is {number}; choose {least} to {most}."
        raise InputError(message)

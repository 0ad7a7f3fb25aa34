"""The transports mail may leave through: setting them up, and what an edition may choose from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.audience.fields import refuse
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
from newsletter.words import Words

MOST_CONNECTIONS = 200
MOST_WEIGHT = 1000
MOST_PORT = 65_535
LONGEST_USERNAME = 255
UNLIMITED = "none"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,253}[A-Za-z0-9])?", re.ASCII)
_DEFAULT_PORT = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
_SCHEMES = {
    "smtp": Security.NONE,
    "smtp+starttls": Security.STARTTLS,
    "smtps": Security.TLS,
}
_NONE = Words(
    "There is no transport to send through; "
    "add one with: newsletter transport set NAME smtp+starttls://user:password@host:587"
)
_FORM = Words(
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
        raise InputError(
            "The port in {host!r}'s address is not a number.", host=parts.hostname
        ) from error
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


@dataclass(frozen=True, slots=True)
class Server:
    """Where a transport leads, and as whom it signs in; no user name: it does not."""

    host: str
    port: int
    security: Security
    auth: Auth | None = None
    username: str = ""


def server_of(transport: Transport) -> Server:
    return Server(
        transport.host,
        transport.port,
        transport.security,
        transport.auth,
        transport.username or "",
    )


def add_transport(session: Session, name: str, server: Server, *, password: str) -> Transport:
    """Raises `InputError`, which names the field."""
    if not _NAME.fullmatch(name):
        refuse("name", "write 1 to 63 of a-z, 0-9 and - between them, like relay-one")
    if session.scalar(select(Transport.id).where(Transport.name == name)) is not None:
        refuse("name", "there is a transport {name} already; choose another name", name=name)
    _check_server(server)
    transport = Transport(name=name, **asdict(server))
    session.add(transport)
    _sign_in_with(transport, server, password)
    session.flush()
    return transport


def lead_to(session: Session, transport: Transport, server: Server, *, password: str) -> None:
    """Let the transport lead to this server; an empty password is the one it has.

    That one goes to no other server, to no other user, and over no connection that protects it less:
    then it must be given again. Raises `InputError`, which names the field.
    """
    _check_server(server)
    before = server_of(transport)
    has_moved = (server.host, server.port, server.username) != (
        before.host,
        before.port,
        before.username,
    )
    is_weaker = server.security is Security.NONE and before.security is not Security.NONE
    is_kept = transport.sealed_password is not None and server.username and not password
    if is_kept and (has_moved or is_weaker):
        refuse("password", "write it again: it goes to another server or user, or unprotected")
    for field, value in asdict(server).items():
        setattr(transport, field, value)
    _sign_in_with(transport, server, password)
    session.flush()


def _sign_in_with(transport: Transport, server: Server, password: str) -> None:
    if password and not server.username:
        refuse("username", "write who signs in with this password")
    if not server.username:
        transport.username = transport.sealed_password = None
    elif password:
        transport.sealed_password = seal(password)
    elif transport.sealed_password is None:
        refuse("password", "write the password, or leave the user name empty")


def _check_server(server: Server) -> None:
    if not _HOST.fullmatch(server.host):
        refuse("host", "write a name or an address, like smtp.example.org")
    if not 1 <= server.port <= MOST_PORT:
        refuse("port", "write a number from 1 to {most}", most=MOST_PORT)
    if len(server.username) > LONGEST_USERNAME or not server.username.isprintable():
        refuse(
            "username", "write at most {longest} characters on one line", longest=LONGEST_USERNAME
        )


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
        raise NotFoundError(
            "There is no transport {name!r}; see: newsletter transport list", name=name
        )
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
        raise InputError(
            "{name} is {number}; choose {least} to {most}.",
            name=name,
            number=number,
            least=least,
            most=most,
        )

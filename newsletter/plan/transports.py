"""The transports mail may leave through: setting them up and choosing one for an edition."""

from urllib.parse import unquote, urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.errors import InputError, NotFoundError
from newsletter.models import Security, Transport
from newsletter.sealing import seal

_DEFAULT_PORT = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}
_SCHEMES = {
    "smtp": Security.NONE,
    "smtp+starttls": Security.STARTTLS,
    "smtps": Security.TLS,
}


def set_transport(session: Session, name: str, url: str, *, connections: int) -> Transport:
    """Add the transport, or change the one of that name.

    `url` is `smtp+starttls://user:password@relay.example.org:587`; `smtps://` is TLS from the
    first byte, `smtp://` is unencrypted. Raises `InputError` for anything else.
    """
    parts = urlsplit(url)
    security = _SCHEMES.get(parts.scheme)
    try:
        port = parts.port
    except ValueError as error:
        message = f"The port in {parts.hostname!r}'s address is not a number."
        raise InputError(message) from error
    if security is None or not parts.hostname or parts.path.strip("/") or parts.query:
        message = (
            "Write the transport as smtp+starttls://user:password@host:587, "
            "smtps://user:password@host:465 or smtp://host:25."
        )
        raise InputError(message)
    if not 1 <= connections <= 200:
        message = f"connections is {connections}; choose 1 to 200."
        raise InputError(message)
    transport = session.scalar(select(Transport).where(Transport.name == name))
    if transport is None:
        transport = Transport(name=name)
        session.add(transport)
    transport.host = parts.hostname
    transport.port = port or _DEFAULT_PORT[security]
    transport.security = security
    transport.username = unquote(parts.username) if parts.username else None
    transport.sealed_password = seal(unquote(parts.password)) if parts.password else None
    transport.connections = connections
    session.flush()
    return transport


def first_transport(session: Session, *, prefer: int | None = None) -> Transport:
    """The preferred one, else the installation's first.

    Raises `NotFoundError` when nobody set one up.
    """
    transport = session.scalar(
        select(Transport).order_by(Transport.id != (prefer or 0), Transport.id).limit(1)
    )
    if transport is None:
        message = (
            "There is no transport to send through; "
            "add one with: newsletter transport set NAME smtp+starttls://user:password@host:587"
        )
        raise NotFoundError(message)
    return transport

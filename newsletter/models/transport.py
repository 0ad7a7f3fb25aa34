"""The SMTP accounts and relays that mail leaves through, and which of them a list or edition may use."""

from enum import StrEnum

from sqlalchemy import ForeignKey, LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model


class Security(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Pacing(StrEnum):
    """Who keeps to the providers' limits."""

    PROVIDERS = "providers"
    """We do: the mail goes more or less straight to them."""
    RELAY = "relay"
    """The relay does: only the transport's own limits count."""


class Carries(StrEnum):
    """What a transport is for."""

    ALL = "all"
    EDITIONS = "editions"
    SYSTEM = "system"


class Auth(StrEnum):
    PLAIN = "plain"
    LOGIN = "login"
    XOAUTH2 = "xoauth2"


class Transport(Model):
    __tablename__ = "transport"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int]
    security: Mapped[Security]
    auth: Mapped[Auth | None]
    """How to sign in; None: the best that the server offers."""
    username: Mapped[str | None] = mapped_column(String(255))
    sealed_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted with the installation's newest secret key; see `newsletter.sealing`."""
    connections: Mapped[int] = mapped_column(default=4)
    """Open at once in each worker process; a quarter more while a slow provider keeps them waiting."""
    messages_per_connection: Mapped[int] = mapped_column(default=1000)
    pacing: Mapped[Pacing] = mapped_column(default=Pacing.PROVIDERS, server_default="providers")
    rate: Mapped[str | None] = mapped_column(String(20))
    """Such as 100/s, over all processes; None: unlimited."""
    weight: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    """Its share of the batches; 0: only while the others are down."""
    carries: Mapped[Carries] = mapped_column(default=Carries.ALL, server_default="all")


class ListTransport(Model):
    """The transports that a list's editions may use; a list without rows here may use any."""

    __tablename__ = "list_transport"

    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"), primary_key=True)
    transport_id: Mapped[int] = mapped_column(ForeignKey("transport.id"), primary_key=True)


class EditionTransport(Model):
    """What an edition leaves through, frozen at its approval."""

    __tablename__ = "edition_transport"

    edition_id: Mapped[int] = mapped_column(ForeignKey("edition.id"), primary_key=True)
    transport_id: Mapped[int] = mapped_column(ForeignKey("transport.id"), primary_key=True)
    weight: Mapped[int] = mapped_column(SmallInteger)

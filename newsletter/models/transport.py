"""The SMTP accounts and relays that mail leaves through."""

from enum import StrEnum

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model


class Security(StrEnum):
    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class Transport(Model):
    __tablename__ = "transport"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(63), unique=True)
    host: Mapped[str] = mapped_column(String(255))
    port: Mapped[int]
    security: Mapped[Security]
    username: Mapped[str | None] = mapped_column(String(255))
    sealed_password: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Encrypted with the installation's newest secret key; see `newsletter.sealing`."""
    connections: Mapped[int] = mapped_column(default=4)
    """Open at once in each worker process."""
    messages_per_connection: Mapped[int] = mapped_column(default=1000)

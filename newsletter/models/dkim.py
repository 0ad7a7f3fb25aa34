"""The keys that a domain's mail is signed with (RFC 6376)."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model


class DkimAlgorithm(StrEnum):
    """By the names that a signature's `a=` tag gives them."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"


class DkimKey(Model):
    __tablename__ = "dkim_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    domain: Mapped[str] = mapped_column(String(255))
    selector: Mapped[str] = mapped_column(String(63))
    algorithm: Mapped[DkimAlgorithm]
    sealed_private_key: Mapped[bytes] = mapped_column(LargeBinary)
    """PKCS #8 in PEM, encrypted with the installation's newest secret key."""
    created_at: Mapped[datetime]
    is_active: Mapped[bool] = mapped_column(default=True)
    """The domain's oldest active key of an algorithm signs; those after it wait for its retirement."""

    # A selector is never used twice: receivers may still hold the record of the first key.
    __table_args__ = (UniqueConstraint("domain", "selector"),)

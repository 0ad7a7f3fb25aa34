"""Addresses that are never mailed, kept as keyed hashes so that they outlive a person's erasure."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import Model

EVERYWHERE = 0


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ON_REQUEST = "on request"
    IMPORTED = "imported"


class Suppression(Model):
    __tablename__ = "suppression"

    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), primary_key=True)
    list_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The one list it holds for, or `EVERYWHERE`; no foreign key, since it outlives the list."""
    reason: Mapped[SuppressionReason]
    source: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]

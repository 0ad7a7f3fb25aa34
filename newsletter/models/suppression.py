"""Addresses that are never mailed, kept as keyed hashes so that they outlive a person's erasure."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Identity, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import BigId, Model
from newsletter.models.delivery import ReplyClass

EVERYWHERE = 0


class SuppressionReason(StrEnum):
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    ON_REQUEST = "on request"
    IMPORTED = "imported"
    LEFT = "left"
    """Of somebody who left long ago and is forgotten since: no import brings them back, they may."""


class Suppression(Model):
    __tablename__ = "suppression"

    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), primary_key=True)
    list_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """The one list it holds for, or `EVERYWHERE`; no foreign key, since it outlives the list."""
    reason: Mapped[SuppressionReason]
    source: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    reply_class: Mapped[ReplyClass | None]
    """What the server's words meant; None: no server spoke."""
    import_id: Mapped[int | None]
    """The import that alone says so; None: no import's file did, or others have said so since."""

    # Pages of the list, and what came about within some hours.
    __table_args__ = (Index(None, "created_at", "address_hash", "list_id"),)


class LiftedSuppression(Model):
    """Append-only: what was lifted, as it stood, with who did it and why."""

    __tablename__ = "lifted_suppression"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), index=True)
    list_id: Mapped[int]
    reason: Mapped[SuppressionReason]
    source: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    reply_class: Mapped[ReplyClass | None]
    lifted_at: Mapped[datetime]
    lifted_by: Mapped[str] = mapped_column(String(120))
    """An account, or `reader`: the person themselves."""
    why: Mapped[str] = mapped_column(String(500))

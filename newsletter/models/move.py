"""People who want their mail at another address; both addresses have to agree."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import BigId, Model


class AddressMove(Model):
    """Nothing changes until both have agreed; deleted some days after it was asked for."""

    __tablename__ = "address_move"

    reference: Mapped[str] = mapped_column(String(24), primary_key=True)
    """Random: both links name it."""
    subscriber_id: Mapped[int] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE")
    )
    new_address: Mapped[str] = mapped_column(String(254))
    new_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    asked_at: Mapped[datetime]
    old_agreed_at: Mapped[datetime | None]
    new_agreed_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "subscriber_id"),
        # How often an address was asked lately.
        Index(None, "new_hash"),
    )

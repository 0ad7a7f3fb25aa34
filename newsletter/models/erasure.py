"""Erased people of whom numbers are left in editions under way."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model


class Erasure(Model):
    """Their number, and nothing else; the row goes when no edition needs the number any more."""

    __tablename__ = "erasure"

    subscriber_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    erased_at: Mapped[datetime]

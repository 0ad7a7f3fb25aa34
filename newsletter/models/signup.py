"""What strangers ask for with a form, and whom an admin invited back."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Identity, Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.addresses import HASH_BYTES
from newsletter.db import BigId, Json, Model


class RequestKind(StrEnum):
    SIGN_UP = "sign-up"
    LINK = "link"
    """Somebody wants the link to their own settings."""
    INVITATION = "invitation"
    """An admin asks a person to come, or to come back."""


class RequestAnswer(StrEnum):
    """The mail that went to the address; each but `NOTHING` is a kind of system mail."""

    CONFIRM = "confirm"
    WELCOME = "welcome"
    ALREADY = "already"
    LINK = "link"
    INVITE = "invite"
    NOTHING = "nothing"


class SignupRequest(Model):
    """Nobody is a subscriber because of it; deleted a week after it was made, confirmed or not.

    Who and what it is about never changes, so that a link that names it means what was asked.
    """

    __tablename__ = "signup_request"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    reference: Mapped[str] = mapped_column(String(24), unique=True)
    """Random, so that no link means a later request; the Message-ID of its mail has it too."""
    kind: Mapped[RequestKind]
    address: Mapped[str] = mapped_column(String(254))
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    list_ids: Mapped[list[int]] = mapped_column(Json)
    language: Mapped[str | None] = mapped_column(String(35))
    """The reader's, as the browser tells it; None: it told none."""
    zone: Mapped[str | None] = mapped_column(String(64))
    wording: Mapped[str] = mapped_column(Text)
    """What the form said beside its button; empty for an invitation."""
    form_url: Mapped[str] = mapped_column(String(300))
    ip: Mapped[str] = mapped_column(String(45))
    user_agent: Mapped[str] = mapped_column(String(300))
    requested_at: Mapped[datetime]
    answer: Mapped[RequestAnswer | None]
    """None: no worker has looked at it yet."""
    answered_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    """When the person pressed the button in the mail; it does nothing a second time."""
    invited_by: Mapped[str | None] = mapped_column(String(120))
    reason: Mapped[str | None] = mapped_column(String(500))
    """Why an admin invited them."""

    __table_args__ = (
        # What a worker answers next.
        Index(
            "ix_signup_request_open",
            "id",
            postgresql_where=text("answered_at IS NULL"),
            sqlite_where=text("answered_at IS NULL"),
        ),
        # How often an address was mailed lately; what falls when its owner refuses.
        Index(None, "address_hash"),
    )


class Invitation(Model):
    """Kept for good, so that nobody is invited again and again; it outlives the person, as a hash."""

    __tablename__ = "invitation"

    id: Mapped[int] = mapped_column(primary_key=True)
    address_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES), index=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    by: Mapped[str] = mapped_column(String(120))
    at: Mapped[datetime]

"""Who may use the API: keys, and the answers that their repeated requests get again."""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, SmallInteger, String, false
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Json, Model

HASH_BYTES = 32


class ApiKey(Model):
    """What a program shows; the key itself is kept nowhere."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    prefix: Mapped[str] = mapped_column(String(12), unique=True)
    """The key's open part: it is looked up, listed and revoked by it."""
    key_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    scopes: Mapped[list[str]] = mapped_column(Json)
    is_narrowed: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is for `list_ids` alone; else for every list, those to come included."""
    list_ids: Mapped[list[int]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(120))
    created_by_account: Mapped[int | None]
    """Whose key it is: it ends with their rights. None: it was made on the command line."""
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    """To within ten minutes."""
    revoked_at: Mapped[datetime | None]


class ApiAnswer(Model):
    """What a write was answered, for whoever sends it again under the same idempotency key.

    Written in the write's own transaction; gone after a day, or with the person it tells of.
    """

    __tablename__ = "api_answer"

    api_key_id: Mapped[int] = mapped_column(
        ForeignKey("api_key.id", ondelete="CASCADE"), primary_key=True
    )
    idempotency_key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(HASH_BYTES))
    """Keyed by the API key, which the database does not have: nobody can guess the request by it."""
    subscriber_id: Mapped[int | None] = mapped_column(
        BigId, ForeignKey("subscriber.id", ondelete="CASCADE"), index=True
    )
    status: Mapped[int | None] = mapped_column(SmallInteger)
    """None: only until the transaction ends."""
    location: Mapped[str | None] = mapped_column(String(200))
    body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    created_at: Mapped[datetime] = mapped_column(index=True)

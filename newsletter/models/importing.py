"""Imports: a file on its way into the audience, how far it has come and what became of its lines."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, LargeBinary, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import BigId, Json, Model


class ImportState(StrEnum):
    RECEIVED = "received"
    """The file is here, and nobody has confirmed yet how it is to be read."""
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    """The file could not be read to its end; what was imported stays."""
    CANCELLED = "cancelled"
    UNDOING = "undoing"
    UNDONE = "undone"


class LegalBasis(StrEnum):
    """Why these people may be written to (GDPR art. 6(1); soft opt-in is ePrivacy art. 13(2))."""

    CONSENT = "consent"
    SOFT_OPT_IN = "soft opt-in"
    CONTRACT = "contract"
    LEGITIMATE_INTEREST = "legitimate interest"
    PUBLIC_TASK = "public task"


class Import(Model):
    """Kept for good: the evidence of every imported subscription names its import and its line."""

    __tablename__ = "import"

    id: Mapped[int] = mapped_column(primary_key=True)
    list_id: Mapped[int] = mapped_column(ForeignKey("list.id"))
    file_name: Mapped[str] = mapped_column(String(200))
    sha256: Mapped[str] = mapped_column(String(64), default="")
    """Of the text as it was received, unpacked."""
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    encoding: Mapped[str] = mapped_column(String(32), default="")
    is_encoding_guessed: Mapped[bool] = mapped_column(default=False)
    delimiter: Mapped[str] = mapped_column(String(1), default="")
    titles: Mapped[list[str]] = mapped_column(Json, default=list)
    """The header."""
    meanings: Mapped[list[str]] = mapped_column(Json, default=list)
    """What each column holds, in the header's order."""
    preset: Mapped[str | None] = mapped_column(String(32))
    basis: Mapped[LegalBasis | None]
    """None: not declared yet, so nothing may be imported."""
    note: Mapped[str] = mapped_column(String(500), default="")
    """In the admin's words: where and how these people agreed."""
    file_status: Mapped[str | None] = mapped_column(String(32))
    """What everybody is who has no status of their own; None: the file must say it of each."""
    tags: Mapped[list[str]] = mapped_column(Json, default=list)
    overwrites: Mapped[bool] = mapped_column(default=False)
    """Whether the file's word replaces what is known, the person's own word apart."""
    is_narrow: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it may concern its list alone: then it suppresses nobody elsewhere."""
    is_dry_run: Mapped[bool] = mapped_column(default=False)
    is_background: Mapped[bool] = mapped_column(default=False)
    """Whether a worker takes it, and takes it up again after a death."""
    by: Mapped[str] = mapped_column(String(120))
    state: Mapped[ImportState] = mapped_column(default=ImportState.RECEIVED)
    token: Mapped[int] = mapped_column(default=0)
    """One more whenever somebody takes it up: whoever holds an older number has been replaced."""
    line: Mapped[int] = mapped_column(default=0)
    """Everything up to the record that begins here is imported; moves with the rows it brought."""
    bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    outcomes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Lines by what became of them."""
    statuses: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """People of the file by what they were on the list afterwards."""
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    """The instant that counts for its rows, also after an interruption."""
    alive_at: Mapped[datetime | None]
    """When it last moved."""
    ended_at: Mapped[datetime | None]
    undone_by: Mapped[str | None] = mapped_column(String(120))
    undone: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """How much of what its undoing has removed so far."""


class ImportChunk(Model):
    """A piece of the file, compressed, so that any worker can read it; gone when the import ends."""

    __tablename__ = "import_chunk"

    import_id: Mapped[int] = mapped_column(
        ForeignKey("import.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class ImportLine(Model):
    """What became of lines that follow each other: one row for as many as fared alike."""

    __tablename__ = "import_line"

    id: Mapped[int] = mapped_column(BigId, Identity(), primary_key=True)
    import_id: Mapped[int] = mapped_column(ForeignKey("import.id", ondelete="CASCADE"), index=True)
    first_line: Mapped[int]
    last_line: Mapped[int]
    outcome: Mapped[str] = mapped_column(String(40))
    field: Mapped[str] = mapped_column(String(80), default="")
    text: Mapped[str] = mapped_column(String(200), default="")
    """What was wrong, with addresses masked."""

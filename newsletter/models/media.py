"""Pictures that editors uploaded, as mail and pages show them."""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from newsletter.db import Model

KEY_CHARACTERS = 40


class Media(Model):
    """One picture. It is never changed, and never deleted: a mail somewhere shows it."""

    __tablename__ = "media"

    key: Mapped[str] = mapped_column(String(KEY_CHARACTERS), primary_key=True)
    """A hash of the content, in hexadecimal."""
    extension: Mapped[str] = mapped_column(String(4))
    """`jpg` or `png`."""
    width: Mapped[int]
    height: Mapped[int]
    size_bytes: Mapped[int]
    name: Mapped[str] = mapped_column(String(120))
    """What the file was called, for people to find it again."""
    created_at: Mapped[datetime] = mapped_column(index=True)
    created_by: Mapped[str] = mapped_column(String(120))


class MediaContent(Model):
    """The picture's bytes, apart so that listing pictures does not read them."""

    __tablename__ = "media_content"

    key: Mapped[str] = mapped_column(String(KEY_CHARACTERS), primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)

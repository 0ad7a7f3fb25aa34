"""The reader that one message is for, and the few words of it that are theirs."""

import datetime
import re
from dataclasses import dataclass
from typing import Protocol

from newsletter.addresses import Address

# Controls, lone surrogates, noncharacters, and the marks that reorder the text after them; what
# stays is one line that harms neither a header field, nor HTML, nor the words around it.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\uffff"
    r"\ud800-\udfff]"
)
_MARKS = re.compile(r"[\u200b-\u200f\u00ad\u2060]*")


@dataclass(frozen=True, slots=True)
class Recipient:
    """`name` may be empty, and may be anything a stranger typed; `joined_on` is None if unknown."""

    subscriber_id: int
    list_id: int
    address: Address
    name: str = ""
    joined_on: datetime.date | None = None
    hidden: int = 0
    """The sections that they hide, as `Compiled.without` takes them."""

    @property
    def printable_name(self) -> str:
        return printable(self.name)


class Addressed(Protocol):
    """Anybody a message can be made for; `address` is as it was stored: normalised."""

    @property
    def subscriber_id(self) -> int: ...
    @property
    def list_id(self) -> int: ...
    @property
    def address(self) -> str | Address: ...
    @property
    def name(self) -> str: ...
    @property
    def joined_on(self) -> datetime.date | None: ...
    @property
    def hidden(self) -> int: ...


def printable(name: str) -> str:
    """On one line and without control characters: the only form in which a name enters a message."""
    if name.isascii() and name.isprintable():
        return name.strip()
    name = " ".join(_UNSAFE.sub("", name).split())
    return "" if _MARKS.fullmatch(name) else name

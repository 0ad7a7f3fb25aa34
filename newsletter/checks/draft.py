"""What the checks look at: the briefing, what was compiled of it, and what three readers would get."""

import datetime
import email
from dataclasses import dataclass
from email.message import Message
from typing import cast

from newsletter.addresses import parse_address
from newsletter.compose.briefing import Briefing
from newsletter.render.compiled import Compiled
from newsletter.render.masthead import Masthead
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.tokens import Tokens

# A full profile, an empty name, and a name that is meant to break something.
_NAMES = ("Ada Lovelace", "", '<b>&"é中')
_ADDRESS = parse_address("reader@example.org")


@dataclass(frozen=True, slots=True)
class Sample:
    """One reader's message, as it would be sent and as it would be read."""

    raw: bytes
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Draft:
    briefing: Briefing
    compiled: Compiled
    samples: tuple[Sample, ...]

    @property
    def masthead(self) -> Masthead:
        return self.compiled.masthead


def make_draft(
    briefing: Briefing, compiled: Compiled, *, tokens: Tokens, date: datetime.datetime
) -> Draft:
    """`compiled` must have been made of `briefing`."""
    assembler = Assembler(compiled, tokens)
    samples = (
        _sample(assembler.message(recipient, date=date)) for recipient in _recipients(compiled)
    )
    return Draft(briefing, compiled, tuple(samples))


def _recipients(compiled: Compiled) -> list[Recipient]:
    return [
        Recipient(
            subscriber_id=number,
            list_id=compiled.masthead.list_id,
            address=_ADDRESS,
            name=name,
            joined_on=datetime.date(2024, 1, 1) if name else None,
        )
        for number, name in enumerate(_NAMES, start=1)
    ]


def _sample(raw: bytes) -> Sample:
    text, html = map(_content, email.message_from_bytes(raw).get_payload())
    return Sample(raw, text, html)


def _content(part: Message) -> str:
    content = cast("bytes", part.get_payload(decode=True))
    return content.decode("utf-8", "replace").replace("\r\n", "\n")

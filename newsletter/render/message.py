"""Puts each reader's message together from what was encoded beforehand; no parser, no template."""

import datetime
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache
from html import escape
from typing import NamedTuple

from newsletter.addresses import parse_address
from newsletter.models import Tracking
from newsletter.render.compiled import Compiled
from newsletter.render.cut import (
    ADDRESS,
    CLICK,
    GREETING,
    JOINED,
    OPEN,
    PREFERENCES,
    UNSUBSCRIBE,
    Slot,
)
from newsletter.render.headers import is_plain_address, mailbox, structured, unstructured
from newsletter.render.letter import page_address
from newsletter.render.masthead import Masthead
from newsletter.render.recipient import Addressed, printable
from newsletter.render.transfer import Part, encoded_part
from newsletter.tokens import (
    NOBODY,
    DeliveryRef,
    LetterTokens,
    Purpose,
    SubscriptionRef,
    Tokens,
)

VARIANTS_KEPT = 256
"""As many as eight sections allow; each takes about as much memory as the mail is long."""
ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058 section 3.1: these very octets
PRECEDENCE = "bulk"
SILENCED = "OOF, AutoReply"  # not "All": that would silence bounces too

_PLAIN_NAME = re.compile(r"[A-Za-z0-9 &'.,:+-]+", re.ASCII)
_LONGEST_LIST_ID = 255


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """What the headers of an edition's messages have in common, up to the empty line behind them."""

    before_to: bytes
    subject: bytes
    after_unsubscribe: bytes

    def filled(self, to: bytes, date: bytes, message_id: bytes, unsubscribe: bytes) -> bytes:
        """A whole header. `to` is a field; of the others these are the values."""
        return b"".join(
            (
                *(self.before_to, to, self.subject, b"Date: ", date),
                *(b"\r\nMessage-ID: ", message_id, b"\r\nList-Unsubscribe: ", unsubscribe),
                *(b"\r\n", self.after_unsubscribe),
            )
        )


class Letter(NamedTuple):
    """One reader's message before it is signed, and its envelope.

    A tuple because one is made per message. `body` is what follows the empty line behind the header,
    in parts; it is in relaxed form (RFC 6376 section 3.4.4): whoever signs has only to hash it.
    """

    return_path: str
    address: str
    head: Head
    to: bytes
    date: bytes
    message_id: bytes
    unsubscribe: bytes
    body: tuple[bytes, ...]

    @property
    def header(self) -> bytes:
        """With the empty line behind it."""
        return self.head.filled(self.to, self.date, self.message_id, self.unsubscribe)

    @property
    def content(self) -> bytes:
        return b"".join((self.header, *self.body))


class Assembler:
    """One edition's messages. Built once in a process and edition, then called per reader.

    Whoever hides sections gets a variant of it, which is built when its first reader comes.
    """

    def __init__(self, compiled: Compiled, tokens: Tokens) -> None:
        masthead = compiled.masthead
        self._compiled = compiled
        self._variants: OrderedDict[int, Assembler] = OrderedDict()
        self._edition_id = compiled.edition_id
        self.sender_domain = parse_address(masthead.sender_address).domain
        self._tokens = tokens
        self._words = compiled.words
        self._mail_domain = masthead.mail_domain
        self._message_id_end = f"@{masthead.mail_domain}>".encode()
        self._unsubscribe_url = f"<{masthead.base_url}/u/".encode()
        self._head = Head(
            before_to=_from(masthead),
            subject=unstructured("Subject", compiled.subject),
            after_unsubscribe=_same_for_all(compiled) + b"\r\n",
        )
        self._text = encoded_part(compiled.mail_text)
        self._html = encoded_part(compiled.mail_html)
        self._is_alike = self._text.encoding == self._html.encoding
        boundary = f"--{compiled.boundary}".encode()
        self._before_text = boundary + _part_head("text/plain", self._text)
        self._before_html = b"\r\n" + boundary + _part_head("text/html", self._html)
        self._end = b"\r\n" + boundary + b"--\r\n"
        self._shared_tokens = _shared_tokens(compiled, tokens)
        self._date = lru_cache(maxsize=8)(_date_value)
        self._joined = lru_cache(maxsize=1024)(self._prepared_joined)

    def message(self, reader: Addressed, *, date: datetime.datetime) -> bytes:
        """The whole message (RFC 5322) with CRLF line ends, none of them followed by a dot.

        The same reader and date always give the same octets.
        """
        return self.letter(reader, date=date).content

    def letter(self, reader: Addressed, *, date: datetime.datetime) -> Letter:
        """Raises `InputError` for an address or a name that must not go into a header."""
        if reader.hidden != self._compiled.hidden:
            return self._variant(reader.hidden).letter(reader, date=date)
        address, name = str(reader.address), printable(reader.name)
        if not is_plain_address(address):
            address = str(parse_address(address))
        ref = SubscriptionRef(reader.list_id, self._edition_id, reader.subscriber_id)
        tokens = self._tokens.of_letter(ref)
        if self._shared_tokens is not None and not ref.is_test:
            opened, click = self._shared_tokens
            tokens = tokens._replace(opened=opened, click=click)
        return Letter(
            return_path=f"b-{tokens.return_path.decode()}@{self._mail_domain}",
            address=address,
            head=self._head,
            to=mailbox("To", name, address),
            date=self._date(date),
            message_id=b"<" + tokens.message_id + self._message_id_end,
            unsubscribe=self._unsubscribe_url + tokens.unsubscribe + b">",
            body=self._body(name, address, reader.joined_on, tokens),
        )

    def _variant(self, hidden: int) -> "Assembler":
        if hidden in self._variants:
            self._variants.move_to_end(hidden)
            return self._variants[hidden]
        variant = Assembler(self._compiled.without(hidden), self._tokens)
        self._variants[hidden] = variant
        if len(self._variants) > VARIANTS_KEPT:
            self._variants.popitem(last=False)
        return variant

    def _body(
        self, name: str, address: str, joined_on: datetime.date | None, tokens: LetterTokens
    ) -> tuple[bytes, ...]:
        greeting, html_greeting = self._prepared(self._words.greeting_to(name))
        shown_address, html_address = self._prepared(address)
        joined, html_joined = self._joined(joined_on)
        in_text = self._prepared_tokens(self._text, tokens)
        in_html = in_text.copy() if self._is_alike else self._prepared_tokens(self._html, tokens)
        in_text |= {GREETING: greeting, ADDRESS: shown_address, JOINED: joined}
        in_html |= {GREETING: html_greeting, ADDRESS: html_address, JOINED: html_joined}
        return (
            *(self._before_text, self._text.fill(in_text)),
            *(self._before_html, self._html.fill(in_html)),
            self._end,
        )

    def _prepared(self, value: str) -> tuple[bytes, bytes]:
        """For the text, and escaped for the HTML."""
        in_text, escaped = self._text.prepare(value), escape(value)
        if self._is_alike and escaped == value:
            return in_text, in_text
        return in_text, self._html.prepare(escaped)

    def _prepared_joined(self, date: datetime.date | None) -> tuple[bytes, bytes]:
        return self._prepared(self._words.joined_on(date))

    def _prepared_tokens(self, part: Part, tokens: LetterTokens) -> dict[Slot, bytes]:
        return {
            OPEN: part.prepare_token(tokens.opened),
            CLICK: part.prepare_token(tokens.click),
            UNSUBSCRIBE: part.prepare_token(tokens.unsubscribe),
            PREFERENCES: part.prepare_token(tokens.preferences),
        }


def _shared_tokens(compiled: Compiled, tokens: Tokens) -> tuple[bytes, bytes] | None:
    """Of pixel and links, where they must not tell whose they are; None where each has their own."""
    if compiled.masthead.tracking is not Tracking.ANONYMOUS:
        return None
    nobody = DeliveryRef(compiled.edition_id, NOBODY)
    return (
        tokens.delivery(Purpose.OPEN, nobody).encode(),
        tokens.delivery(Purpose.CLICK, nobody).encode(),
    )


def _date_value(date: datetime.datetime) -> bytes:
    return format_datetime(date).encode()


def _from(masthead: Masthead) -> bytes:
    sender = mailbox("From", masthead.sender_name, str(parse_address(masthead.sender_address)))
    if masthead.reply_to is None:
        return sender
    return sender + mailbox("Reply-To", "", str(parse_address(masthead.reply_to)))


def _same_for_all(compiled: Compiled) -> bytes:
    masthead = compiled.masthead
    fields = {
        "List-Unsubscribe-Post": ONE_CLICK,
        "List-Id": _list_id(masthead),
        "List-Archive": f"<{page_address(masthead, compiled.public_id)}>",
        "List-Post": "NO",
        "Feedback-ID": _feedback_id(compiled),
        "Precedence": PRECEDENCE,
        "X-Auto-Response-Suppress": SILENCED,
        "MIME-Version": "1.0",
    }
    content_type = f'multipart/alternative;\r\n boundary="{compiled.boundary}"'
    return b"".join(
        (
            *(structured(name, value) for name, value in fields.items()),
            f"Content-Type: {content_type}\r\n".encode(),
        )
    )


def _list_id(masthead: Masthead) -> str:
    """With the list's name only where that is plain ASCII: no encoded-word in this field (H-21)."""
    ident = f"<{masthead.slug}.{masthead.mail_domain}>"
    phrase = f'"{masthead.name}" {ident}'
    is_plain = _PLAIN_NAME.fullmatch(masthead.name) is not None
    return phrase if is_plain and len(phrase) <= _LONGEST_LIST_ID else ident


def _feedback_id(compiled: Compiled) -> str:
    """Edition, list, kind of mail, and a sender that stays the same for good (H-34)."""
    domain = compiled.masthead.mail_domain.encode()
    sender = hashlib.blake2b(domain, digest_size=5).hexdigest()
    return f"{compiled.public_id}:{compiled.masthead.slug}:briefing:{sender}"


def _part_head(content_type: str, part: Part) -> bytes:
    return (
        f'\r\nContent-Type: {content_type}; charset="utf-8"\r\n'
        f"Content-Transfer-Encoding: {part.encoding}\r\n\r\n"
    ).encode()

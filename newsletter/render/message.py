"""Puts each reader's message together from what was encoded beforehand; no parser, no template."""

import datetime
import hashlib
import re
from collections.abc import Mapping
from email.utils import format_datetime
from functools import lru_cache
from html import escape

from newsletter.addresses import parse_address
from newsletter.render.compiled import Compiled
from newsletter.render.cut import ADDRESS, CLICK, GREETING, JOINED, OPEN, UNSUBSCRIBE, Slot
from newsletter.render.headers import mailbox, structured, unstructured
from newsletter.render.letter import page_address
from newsletter.render.masthead import Masthead
from newsletter.render.recipient import Recipient
from newsletter.render.transfer import Part, encoded_part
from newsletter.tokens import DeliveryRef, Purpose, SubscriptionRef, Tokens

ONE_CLICK = "List-Unsubscribe=One-Click"  # RFC 8058 section 3.1: these very octets
PRECEDENCE = "bulk"
SILENCED = "OOF, AutoReply"  # not "All": that would silence bounces too

_PLAIN_NAME = re.compile(r"[A-Za-z0-9 &'.,:+-]+", re.ASCII)
_LONGEST_LIST_ID = 255

_date_field = lru_cache(maxsize=8)(format_datetime)


class Assembler:
    """One edition's messages. Built once in a process and edition, then called per reader."""

    def __init__(self, compiled: Compiled, tokens: Tokens) -> None:
        masthead = compiled.masthead
        self._edition_id = compiled.edition_id
        self.sender_domain = parse_address(masthead.sender_address).domain
        self._mail_domain = masthead.mail_domain
        self._unsubscribe_url = f"{masthead.base_url}/u/"
        self._tokens = tokens
        self._joined = lru_cache(maxsize=1024)(compiled.words.joined_on)
        self._greeting_to = compiled.words.greeting_to
        self._from = _from(masthead)
        self._subject = unstructured("Subject", compiled.subject)
        self._same_for_all = _same_for_all(compiled)
        self._text = encoded_part(compiled.mail_text)
        self._html = encoded_part(compiled.mail_html)
        boundary = f"--{compiled.boundary}".encode()
        self._before_text = b"\r\n" + boundary + _part_head("text/plain", self._text)
        self._before_html = b"\r\n" + boundary + _part_head("text/html", self._html)
        self._end = b"\r\n" + boundary + b"--\r\n"

    def message(self, recipient: Recipient, *, date: datetime.datetime) -> bytes:
        """The whole message (RFC 5322) with CRLF line ends, none of them followed by a dot.

        The same reader and date always give the same octets.
        """
        name = recipient.printable_name
        values = self._values(recipient, name)
        return b"".join(
            (
                self._from,
                mailbox("To", name, str(recipient.address)),
                self._subject,
                (
                    f"Date: {_date_field(date)}\r\n"
                    f"Message-ID: <{self._message_id(recipient)}>\r\n"
                    f"List-Unsubscribe: <{self._unsubscribe_url}{values[UNSUBSCRIBE]}>\r\n"
                ).encode(),
                self._same_for_all,
                self._before_text,
                _filled(self._text, values),
                self._before_html,
                _filled(self._html, _escaped(values)),
                self._end,
            )
        )

    def _values(self, recipient: Recipient, name: str) -> dict[Slot, str]:
        """What the reader's message has in each slot, unescaped; `name` is the printable one."""
        delivery = DeliveryRef(self._edition_id, recipient.subscriber_id)
        return {
            GREETING: self._greeting_to(name),
            ADDRESS: str(recipient.address),
            JOINED: self._joined(recipient.joined_on),
            OPEN: self._tokens.delivery(Purpose.OPEN, delivery),
            CLICK: self._tokens.delivery(Purpose.CLICK, delivery),
            UNSUBSCRIBE: self._tokens.unsubscribe(
                SubscriptionRef(recipient.list_id, self._edition_id, recipient.subscriber_id)
            ),
        }

    def return_path(self, recipient: Recipient) -> str:
        """The envelope sender of this delivery: a bounce to it names the reader (H-50)."""
        delivery = DeliveryRef(self._edition_id, recipient.subscriber_id)
        return f"b-{self._tokens.return_path(delivery)}@{self._mail_domain}"

    def _message_id(self, recipient: Recipient) -> str:
        delivery = DeliveryRef(self._edition_id, recipient.subscriber_id)
        return f"{self._tokens.delivery(Purpose.MESSAGE_ID, delivery)}@{self._mail_domain}"


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


def _filled(part: Part, values: Mapping[Slot, str]) -> bytes:
    prepared = {slot: part.prepare(value) for slot, value in values.items()}
    return part.fill(prepared)


def _escaped(values: Mapping[Slot, str]) -> dict[Slot, str]:
    return {slot: escape(value) for slot, value in values.items()}

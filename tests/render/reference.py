"""The slow way to a reader's message: the template with real values, premailer, and the standard
library's e-mail. It shares nothing with the fast way after the template.
"""

import datetime
from collections.abc import Mapping
from email.header import decode_header, make_header
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from html import escape
from html.parser import HTMLParser
from itertools import count

from markupsafe import Markup

from newsletter.compose.briefing import Briefing
from newsletter.render.compile import render_html
from newsletter.render.compiled import Compiled, padded
from newsletter.render.cut import (
    ADDRESS,
    BETWEEN,
    CLICK,
    GREETING,
    JOINED,
    MAIL_END,
    MAIL_ONLY,
    OPEN,
    PART_END,
    POINT,
    PREFERENCES,
    PREHEADER,
    UNSUBSCRIBE,
    Cut,
    Slot,
    link_number,
    part_sections,
)
from newsletter.render.headers import mailbox, structured, unstructured
from newsletter.render.inline import inline
from newsletter.render.letter import write_letter
from newsletter.render.message import _same_for_all
from newsletter.render.recipient import Recipient
from newsletter.render.transfer import Base64, encoded_part, quoted_printable
from newsletter.tokens import DeliveryRef, Purpose, SubscriptionRef, Tokens


def reference_message(
    briefing: Briefing,
    compiled: Compiled,
    recipient: Recipient,
    *,
    tokens: Tokens,
    date: datetime.datetime,
) -> EmailMessage:
    masthead, words = compiled.masthead, compiled.words
    delivery = DeliveryRef(compiled.edition_id, recipient.subscriber_id)
    name = recipient.printable_name
    click = tokens.delivery(Purpose.CLICK, delivery)
    subscription = SubscriptionRef(recipient.list_id, compiled.edition_id, recipient.subscriber_id)
    unsubscribe = tokens.unsubscribe(subscription)
    values = {
        GREETING: words.greeting_to(name),
        ADDRESS: str(recipient.address),
        JOINED: words.joined_on(recipient.joined_on),
        OPEN: tokens.delivery(Purpose.OPEN, delivery),
        UNSUBSCRIBE: unsubscribe,
        PREFERENCES: tokens.preferences(subscription),
        PREHEADER: Markup(padded(compiled.preheader)),
        **dict.fromkeys((MAIL_ONLY, MAIL_END, BETWEEN, PART_END), ""),
    }
    points = count(1)

    def slot(wanted: Slot) -> str:
        if wanted == POINT:
            return str(next(points))
        if part_sections(wanted):
            return ""
        number = link_number(wanted)
        return f"{masthead.base_url}/c/{click}/{number}" if number else values[wanted]

    letter = write_letter(
        briefing,
        masthead,
        public_id=compiled.public_id,
        subject=compiled.subject,
        preheader=compiled.preheader,
    )
    message = EmailMessage(policy=SMTP)
    message["From"] = Mailbox(masthead.sender_name, addr_spec=masthead.sender_address)
    message["To"] = Mailbox(name, addr_spec=str(recipient.address))
    message["Subject"] = compiled.subject
    message["Date"] = format_datetime(date)
    message_id = tokens.delivery(Purpose.MESSAGE_ID, delivery)
    message["Message-ID"] = f"<{message_id}@{masthead.mail_domain}>"
    message["List-Unsubscribe"] = f"<{masthead.base_url}/u/{unsubscribe}>"
    message.set_content(compiled.shown_text.fill(slot), cte="base64")
    message.add_alternative(inline(render_html(letter, slot)), subtype="html", cte="base64")
    return message


def plain_octets(
    compiled: Compiled, recipient: Recipient, *, tokens: Tokens, date: datetime.datetime
) -> bytes:
    """The octets of a message, each value encoded where it stands and nothing kept beforehand."""
    masthead, words = compiled.masthead, compiled.words
    delivery = DeliveryRef(compiled.edition_id, recipient.subscriber_id)
    subscription = SubscriptionRef(recipient.list_id, compiled.edition_id, recipient.subscriber_id)
    unsubscribe = tokens.unsubscribe(subscription)
    name, address = recipient.printable_name, str(recipient.address)
    values = {
        GREETING: words.greeting_to(name),
        ADDRESS: address,
        JOINED: words.joined_on(recipient.joined_on),
        OPEN: tokens.delivery(Purpose.OPEN, delivery),
        CLICK: tokens.delivery(Purpose.CLICK, delivery),
        UNSUBSCRIBE: unsubscribe,
        PREFERENCES: tokens.preferences(subscription),
    }
    message_id = tokens.delivery(Purpose.MESSAGE_ID, delivery)
    fields = [
        mailbox("From", masthead.sender_name, masthead.sender_address),
        mailbox("Reply-To", "", masthead.reply_to) if masthead.reply_to else b"",
        mailbox("To", name, address),
        unstructured("Subject", compiled.subject),
        structured("Date", format_datetime(date)),
        structured("Message-ID", f"<{message_id}@{masthead.mail_domain}>"),
        structured("List-Unsubscribe", f"<{masthead.base_url}/u/{unsubscribe}>"),
        _same_for_all(compiled),
    ]
    boundary = f"--{compiled.boundary}".encode()
    parts = [
        (b"plain", compiled.mail_text, values),
        (b"html", compiled.mail_html, {slot: escape(value) for slot, value in values.items()}),
    ]
    lines = [*fields, b"\r\n"]
    for kind, cut, put_in in parts:
        encoding, body = _encoded(cut, put_in)
        lines += boundary, b'\r\nContent-Type: text/%b; charset="utf-8"\r\n' % kind
        lines += b"Content-Transfer-Encoding: %b\r\n\r\n" % encoding, body, b"\r\n"
    return b"".join((*lines, boundary, b"--\r\n"))


def _encoded(cut: Cut, values: Mapping[Slot, str]) -> tuple[bytes, bytes]:
    if encoded_part(cut).encoding == "base64":
        part = Base64(cut)
        filled = part.fill({slot: part.prepare(value) for slot, value in values.items()})
        return b"base64", filled
    *texts, last = cut.statics
    pieces: list[str] = []
    for text, slot in zip(texts, cut.slots, strict=True):
        pieces += text, values[slot]
    encoded = b""
    for piece in pieces:
        at_start = quoted_printable(piece.encode())
        encoded += at_start + (b"=\r\n" if at_start and not at_start.endswith(b"\n") else b"")
    return b"quoted-printable", encoded + quoted_printable(last.rstrip().encode() + b"\n")


class Events(HTMLParser):
    """What a browser's parser sees, so that `&quot;` and `"` are the same text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, object]] = []

    @classmethod
    def of(cls, html: str) -> list[tuple[str, object]]:
        events = cls()
        events.feed(html.strip())
        events.close()
        return events.seen

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(("end", tag))

    def handle_comment(self, data: str) -> None:
        self.seen.append(("comment", data))

    def handle_data(self, data: str) -> None:
        self.seen.append(("text", data))


def read_mailbox(header: str) -> tuple[str, str]:
    """Display name and address. The standard library's newer parser puts blanks between the
    encoded-words of a phrase, against RFC 2047 section 6.2; this uses its older one.
    """
    name, address = parseaddr(header)
    return (str(make_header(decode_header(name))) if "=?" in name else name), address

"""Writes mails that concern one person at once: from templates, without a list, without tracking."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import cache
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from newsletter.errors import RenderError
from newsletter.render.headers import mailbox, structured, unstructured
from newsletter.render.system_words import LANGUAGE, system_words
from newsletter.render.transfer import quoted_printable
from newsletter.settings import TEMPLATES

LONGEST_SUBJECT = 200
TEST_MARK = "[Test] "

# Controls but for tab and line feed, and the marks that reorder the text after them.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\uffff\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class SystemLetter:
    """What one mail needs; `name` is its template's folder."""

    name: str
    data: Mapping[str, Any]
    sender_name: str
    sender_address: str
    to_address: str
    message_id: str
    """Without its angle brackets."""
    date: datetime
    base_url: str
    language: str = "en"


def system_message(letter: SystemLetter) -> bytes:
    """The whole message (RFC 5322) with CRLF line ends, the same octets for the same letter.

    It says that it was made by a machine (RFC 3834), and has no unsubscribe link: it belongs to no
    list. Raises `RenderError` when the template lacks something.
    """
    boundary = hashlib.blake2b(letter.message_id.encode(), digest_size=15).hexdigest()
    subject = one_line(_rendered(letter, "subject.txt"))
    text = _rendered(letter, "body.txt", title=subject)
    html = _rendered(letter, "body.html", title=subject)
    return b"".join(
        (
            mailbox("From", one_line(letter.sender_name), letter.sender_address),
            mailbox("To", "", letter.to_address),
            unstructured("Subject", subject[:LONGEST_SUBJECT]),
            structured("Date", format_datetime(letter.date)),
            structured("Message-ID", f"<{letter.message_id}>"),
            structured("Auto-Submitted", "auto-generated"),
            structured("X-Auto-Response-Suppress", "OOF, AutoReply"),
            structured("MIME-Version", "1.0"),
            f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'.encode(),
            _part(boundary, "text/plain", text),
            _part(boundary, "text/html", html),
            f"\r\n--{boundary}--\r\n".encode(),
        )
    )


def marked_as_test(subject: str) -> str:
    return (TEST_MARK + subject)[:255]  # the longest a subject may be


def one_line(text: str) -> str:
    """Fit for a header field: one line without controls."""
    return " ".join(_UNSAFE.sub(" ", text).split())


def _part(boundary: str, media_type: str, text: str) -> bytes:
    head = (
        f"\r\n--{boundary}\r\n"
        f'Content-Type: {media_type}; charset="utf-8"\r\n'
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head.encode() + quoted_printable(text.strip().encode() + b"\n")


def _rendered(letter: SystemLetter, file: str, **more: str) -> str:
    words = system_words(letter.name, letter.language)
    context = {
        "base_url": letter.base_url,
        **letter.data,
        "words": words,
        "language": words.get(LANGUAGE, letter.language),
        **more,
    }
    try:
        template = _templates().get_template(f"system/{letter.name}/{file}")
        return template.render(context)
    except TemplateError as error:
        raise RenderError(
            "the template {name}/{file} cannot be filled: {error}",
            name=letter.name,
            file=file,
            error=error,
        ) from error


@cache
def _templates() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES / "email"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        finalize=_without_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _without_controls(value: object) -> object:
    if isinstance(value, Markup):  # a macro's: its pieces have been here, and are escaped
        return value
    return _UNSAFE.sub("", value) if isinstance(value, str) else value

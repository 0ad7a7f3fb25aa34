"""Reads header fields and bodies of mail that may be broken in any way, without ever failing."""

import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32

_LINE_END = re.compile(r"\r?\n")
_URL = re.compile(r"<([^<>]*)>")


@dataclass(frozen=True, slots=True)
class Letter:
    """A message taken apart for a person to look at."""

    headers: tuple[tuple[str, str], ...]
    """As text, unfolded and decoded, in order."""
    text: str | None
    html: str | None
    """`None` where the message has no such part."""
    attachments: tuple[str, ...]
    """Names of the parts that are neither."""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def unsubscribe_urls(self) -> tuple[str, ...]:
        """What List-Unsubscribe offers, in its order (RFC 2369)."""
        found = _URL.findall(self.header("List-Unsubscribe"))
        return tuple(re.sub(r"\s", "", url) for url in found)

    @property
    def one_click_url(self) -> str | None:
        """Where a mailbox provider would POST (RFC 8058); `None` if the message offers none."""
        if self.header("List-Unsubscribe-Post").strip().lower() != "list-unsubscribe=one-click":
            return None
        web = (url for url in self.unsubscribe_urls if url.lower().startswith(("https:", "http:")))
        return next(web, None)


def read_letter(content: bytes) -> Letter:
    message = BytesParser(policy=compat32).parsebytes(content)
    text, html = None, None
    attachments = []
    for part in message.walk():
        if part.is_multipart():
            continue
        kind = part.get_content_type()
        is_attached = part.get_content_disposition() == "attachment"
        if kind == "text/plain" and text is None and not is_attached:
            text = _body(part)
        elif kind == "text/html" and html is None and not is_attached:
            html = _body(part)
        else:
            attachments.append(_decoded(part.get_filename() or kind))
    return Letter(
        headers=tuple((name, _decoded(value)) for name, value in _fields(content)),
        text=text,
        html=html,
        attachments=tuple(attachments),
    )


def header_text(content: bytes, name: str) -> str:
    """The first field of this name as text; empty if there is none."""
    wanted = re.compile(
        rb"^" + name.encode() + rb":((?:[^\n]|\n[ \t])*)", re.IGNORECASE | re.MULTILINE
    )
    found = wanted.search(_header_block(content))
    return _decoded(found[1].decode("utf-8", "replace")) if found else ""


def _header_block(content: bytes) -> bytes:
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n")
    return content if end < 0 else content[: end + 2]


def _fields(content: bytes) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    for line in _LINE_END.split(_header_block(content).decode("utf-8", "replace")):
        if line[:1] in {" ", "\t"} and fields:
            name, value = fields[-1]
            fields[-1] = (name, f"{value}\n{line}")
        elif ":" in line:
            name, _, value = line.partition(":")
            fields.append((name.strip(), value))
    return fields


def _decoded(value: str) -> str:
    unfolded = _LINE_END.sub("", value).strip()
    if "=?" not in unfolded:
        return unfolded
    try:
        return str(make_header(decode_header(unfolded)))
    except (LookupError, UnicodeError, ValueError, HeaderParseError):
        return unfolded


def _body(part: Message) -> str:
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")

"""A strict reader of one finished message: whatever no mailbox should ever have to guess about."""

import base64
import binascii
import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from urllib.parse import urlsplit

from newsletter.addresses import parse_address
from newsletter.errors import AddressError

LONGEST_LINE = 998  # RFC 5322 section 2.1.1, without the line's end
LONGEST_FOLDED = 78
LONGEST_ENCODED = 76  # RFC 2045 sections 6.7 and 6.8; RFC 2047 section 2
LONGEST_WORD = 75
LONGEST_SUBJECT = 255
LONGEST_MESSAGE_ID = 200
LONGEST_LIST_ID = 255

_ONCE = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")
_ONCE_IN_BULK = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Precedence")
_REPEATABLE = frozenset({"dkim-signature"})
_KNOWN = frozenset(
    name.lower()
    for name in (
        *_ONCE,
        *_ONCE_IN_BULK,
        "Sender",
        "Reply-To",
        "List-Post",
        "List-Archive",
        "List-Help",
        "Feedback-ID",
        "X-Auto-Response-Suppress",
        "Auto-Submitted",
        "Content-Transfer-Encoding",
        "Content-Language",
        "DKIM-Signature",
    )
)
_FOLDABLE = frozenset({"from", "to", "reply-to", "subject", "content-type"})
_FOR_PEOPLE = frozenset({"from", "to", "reply-to", "sender", "subject"})

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FIELD = re.compile(rb"([!-9;-~]+):(.*)", re.DOTALL)
_ENCODED_WORD = re.compile(r"=\?([^?\s]*)\?([^?\s]*)\?([^?\s]*)\?=")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")
_ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:[ \t]+[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MAILBOX = re.compile(rf"(?:(?:{_QUOTED}|{_ATOMS})[ \t]+)?<([^<>\s]+)>|([^<>,;:\s\"]+)")
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d [+-]\d{4}"
)
_MESSAGE_ID = re.compile(r"<([A-Za-z0-9_.+-]+)@((?:[a-z0-9-]+\.)+[a-z0-9-]+)>")
_LIST_ID = re.compile(rf"(?:(?:{_QUOTED}|{_ATOMS}) )?<((?:[a-z0-9-]+\.)+[a-z0-9-]+)>")
_URIS = re.compile(r"<[a-z]+:[^<>\s]+>(?:, *<[a-z]+:[^<>\s]+>)*")
_ONE_URI = re.compile(r"<(https?://[^<>\s]+)>")
_FEEDBACK_ID = re.compile(r"[^:\s]+:[^:\s]+:[^:\s]+:[A-Za-z0-9._-]{5,15}")
_BOUNDARY = re.compile(r'multipart/alternative; ?boundary="([0-9A-Za-z\'()+_,./:=?-]{1,70})"')
_TEXT_TYPE = re.compile(r'(text/(?:plain|html)); ?charset="?utf-8"?', re.IGNORECASE)
_STRAY_EQUALS = re.compile(rb"=(?![0-9A-F]{2}|\r\n|\Z)")
_UNPRINTABLE = re.compile(rb"[^\t\r\n -~]")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Violation:
    """`requirement` is the id of the rule that the message breaks, as H-20."""

    requirement: str
    message: str


def check_message(raw: bytes) -> list[Violation]:
    """Everything that is wrong with one message as it goes over the wire; empty if all is well.

    A message with an Auto-Submitted field is a system mail (RFC 3834): it names no list and needs no
    unsubscribe link. Any other is one reader's copy of an edition.
    """
    mail = _Mail(raw)
    return [Violation(*found) for rule in _RULES for found in rule(mail)]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    lines: tuple[bytes, ...]

    @property
    def value(self) -> str:
        """Unfolded, with what is not UTF-8 replaced."""
        return b"".join(self.lines).decode(errors="replace").strip()


class _Mail:
    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.head, _, self.body = raw.partition(b"\r\n\r\n")
        self.fields, self.malformed = _read_fields(self.head)

    def all(self, name: str) -> list[_Field]:
        return [field for field in self.fields if field.name.lower() == name.lower()]

    def value(self, name: str) -> str:
        """Of the first such field; empty where there is none, which another rule reports."""
        return next((field.value for field in self.all(name)), "")

    @cached_property
    def is_system(self) -> bool:
        return bool(self.all("Auto-Submitted"))


_Found = Iterator[tuple[str, str]]
_Rule = Callable[[_Mail], _Found]


def _read_fields(head: bytes) -> tuple[list[_Field], list[bytes]]:
    fields: list[_Field] = []
    malformed = []
    for line in head.split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if line[:1] in (b" ", b"\t") and fields and line.strip():
            fields[-1] = _Field(fields[-1].name, (*fields[-1].lines, line))
        elif match:
            fields.append(_Field(match[1].decode(), (match[2],)))
        else:
            malformed.append(line)
    return fields, malformed


def _octets(mail: _Mail) -> _Found:
    if _has_half_a_line_end(mail.raw):
        yield "H-20", "a CR or LF stands alone"
    if found := _CONTROL.search(mail.raw):
        yield "H-20", f"holds the control octet 0x{found[0][0]:02X}"
    if not mail.raw.endswith(b"\r\n"):
        yield "H-20", "does not end with CRLF"
    for number, line in enumerate(mail.raw.split(b"\r\n"), start=1):
        if len(line) > LONGEST_LINE:
            yield "H-20", f"line {number} has {len(line)} octets, more than {LONGEST_LINE}"


def _has_half_a_line_end(raw: bytes) -> bool:
    return not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")


def _header_lines(mail: _Mail) -> _Found:
    for line in mail.malformed:
        yield "H-20", f"the header line {line[:40]!r} is no field"
    for field in mail.fields:
        lines = (field.name.encode() + b":" + field.lines[0], *field.lines[1:])
        if not field.lines[0].startswith(b" "):
            yield "H-20", f"{field.name} has no blank after its colon"
        for line in lines:
            could_fold = b" " in line.split(b": ", 1)[-1].strip()
            is_foldable = field.name.lower() in _FOLDABLE
            if is_foldable and could_fold and len(line) > LONGEST_FOLDED:
                yield "H-20", f"{field.name} has a line of {len(line)} octets that could be folded"
            if b"=?" in line and len(line) > LONGEST_ENCODED:
                yield "H-25", f"{field.name} has a line of {len(line)} octets with an encoded-word"


def _field_names(mail: _Mail) -> _Found:
    counts = Counter(field.name.lower() for field in mail.fields)
    required = _ONCE if mail.is_system else _ONCE + _ONCE_IN_BULK
    for name in required:
        if not counts[name.lower()]:
            yield _REQUIREMENT_OF.get(name, "H-20"), f"{name} is missing"
    for name, count in counts.items():
        if count > 1 and name not in _REPEATABLE:
            yield "H-20", f"{name} occurs {count} times"
    for name in counts.keys() & {"cc", "bcc"}:
        yield "H-24", f"{name} names others"
    if "return-path" in counts:
        yield "H-29", "Return-Path is for the last server to write"
    for name in sorted(counts.keys() - _KNOWN - {"cc", "bcc", "return-path"}):
        yield "H-39", f"{name} is a field that we never write"


_REQUIREMENT_OF = {
    "From": "H-22",
    "To": "H-24",
    "Subject": "H-25",
    "Date": "H-26",
    "Message-ID": "H-27",
    "MIME-Version": "H-28",
    "Content-Type": "H-28",
    "List-Unsubscribe": "H-40",
    "List-Unsubscribe-Post": "H-40",
    "List-Id": "H-32",
    "Precedence": "H-35",
}


def _encoded_words(mail: _Mail) -> _Found:
    for field in mail.fields:
        words = list(_ENCODED_WORD.finditer(field.value))
        if words and field.name.lower() not in _FOR_PEOPLE:
            yield "H-21", f"{field.name} holds an encoded-word"
        for word in words:
            if len(word[0]) > LONGEST_WORD:
                yield "H-25", f"{field.name} has an encoded-word of {len(word[0])} characters"
            if _decoded_word(word) is None:
                yield "H-25", f"{field.name} has an encoded-word that means nothing by itself"


def _decoded_word(word: re.Match[str]) -> str | None:
    charset, encoding, text = word[1].lower(), word[2].lower(), word[3]
    if charset != "utf-8":
        return None
    try:
        match encoding:
            case "b":
                return base64.b64decode(text, validate=True).decode()
            case "q":
                return binascii.a2b_qp(text.encode("ascii"), header=True).decode()
            case _:
                return None
    except ValueError:
        return None


def _structured_fields(mail: _Mail) -> _Found:
    for field in mail.fields:
        name = field.name.lower()
        if name != "to" and not b"".join(field.lines).isascii():
            yield "H-31", f"{field.name} is not ASCII"
        is_exact = name.startswith("list-") or name in {"message-id", "feedback-id", "references"}
        if is_exact and any(not line.rstrip().endswith(b",") for line in field.lines[:-1]):
            yield "H-21", f"{field.name} is folded elsewhere than after a comma"


def _mailboxes(mail: _Mail) -> _Found:
    for name, requirement in (("From", "H-22"), ("To", "H-24"), ("Reply-To", "H-23")):
        for field in mail.all(name):
            address = _only_address(field.value)
            if address is None:
                yield requirement, f"{name} is not one mailbox that we could send to"
            elif name == "Reply-To" and address.startswith(("b-", "b+")):
                yield "H-23", "Reply-To is a return path that nobody reads"


def _only_address(value: str) -> str | None:
    match = _MAILBOX.fullmatch(value)
    if match is None:
        return None
    try:
        return str(parse_address(match[1] or match[2]))
    except AddressError:
        return None


def _subject(mail: _Mail) -> _Found:
    for field in mail.all("Subject"):
        if "=?" in _ENCODED_WORD.sub("", field.value):
            yield "H-25", "Subject holds a broken encoded-word"
        joined = _BETWEEN_WORDS.sub("", field.value)
        text = _ENCODED_WORD.sub(lambda word: _decoded_word(word) or "", joined)
        if not text.strip():
            yield "H-25", "Subject is empty"
        if len(text) > LONGEST_SUBJECT:
            yield "H-25", f"Subject has more than {LONGEST_SUBJECT} characters"
        if text.lower().startswith(("re:", "fwd:", "fw:")):
            yield "H-25", "Subject pretends to be an answer"


def _date(mail: _Mail) -> _Found:
    for field in mail.all("Date"):
        if not _DATE.fullmatch(field.value):
            yield "H-26", f"Date {field.value!r} is not in the form of RFC 5322 with a numeric zone"
            continue
        try:
            date: datetime.datetime = parsedate_to_datetime(field.value)
        except ValueError:
            yield "H-26", f"Date {field.value!r} is no day of the calendar"
            continue
        if not field.value.startswith(f"{date:%a}"):
            yield "H-26", f"Date {field.value!r} has the wrong weekday"


def _message_id(mail: _Mail) -> _Found:
    for field in mail.all("Message-ID"):
        if not _MESSAGE_ID.fullmatch(field.value) or len(field.value) > LONGEST_MESSAGE_ID:
            yield "H-27", f"Message-ID {field.value!r} is not <unique@our.domain>"
        address = _only_address(mail.value("To")) or ""
        local = address.rpartition("@")[0].lower()
        if len(local) > 3 and local in field.value.lower():
            yield "H-27", "Message-ID gives the address away"


def _list_fields(mail: _Mail) -> _Found:
    for field in mail.all("List-Id"):
        match = _LIST_ID.fullmatch(field.value)
        if match is None or len(match[1]) > LONGEST_LIST_ID:
            yield "H-32", f"List-Id {field.value!r} is not Phrase <list.our.domain>"
    for name in ("List-Archive", "List-Help"):
        for field in mail.all(name):
            if not _URIS.fullmatch(field.value):
                yield "H-33", f"{name} is no address in angle brackets"
    for field in mail.all("List-Post"):
        if field.value != "NO":
            yield "H-33", "List-Post is not NO: nobody may post to this list"
    for field in mail.all("Feedback-ID"):
        if not _FEEDBACK_ID.fullmatch(field.value):
            yield "H-34", "Feedback-ID is not of four parts with a sender of 5 to 15 characters"
    for field in mail.all("Precedence"):
        if field.value != "bulk":
            yield "H-35", "Precedence is not bulk"


def _automatic(mail: _Mail) -> _Found:
    for field in mail.all("Auto-Submitted"):
        if field.value != "auto-generated":
            yield "H-36", f"Auto-Submitted is {field.value!r}, not auto-generated"
    for field in mail.all("X-Auto-Response-Suppress"):
        if field.value != "OOF, AutoReply":
            yield "H-37", "X-Auto-Response-Suppress is not OOF, AutoReply"


def _unsubscribe(mail: _Mail) -> _Found:
    for field in mail.all("List-Unsubscribe"):
        match = _ONE_URI.fullmatch(field.value)
        if match is None:
            yield "H-40", "List-Unsubscribe is not one web address in angle brackets"
            continue
        try:
            parts = urlsplit(match[1])
        except ValueError:
            yield "H-40", "List-Unsubscribe holds an address that cannot be read"
            continue
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            yield "H-40", "List-Unsubscribe is not an https address"
        if len(parts.path.rpartition("/")[2]) < 22 or "@" in match[1] or parts.query:
            yield "H-42", "List-Unsubscribe does not end in an opaque token"
    for field in mail.all("List-Unsubscribe-Post"):
        if field.lines != (b" List-Unsubscribe=One-Click",):
            yield "H-40", "List-Unsubscribe-Post is not List-Unsubscribe=One-Click"


def _structure(mail: _Mail) -> _Found:
    if mail.all("MIME-Version") and mail.value("MIME-Version") != "1.0":
        yield "H-28", "MIME-Version is not 1.0"
    content_type = mail.value("Content-Type")
    if match := _BOUNDARY.fullmatch(content_type):
        if mail.all("Content-Transfer-Encoding"):
            yield "H-28", "a multipart has a Content-Transfer-Encoding of its own"
        yield from _alternatives(mail, match[1].encode())
    elif mail.is_system and content_type.startswith("text/plain"):
        yield from _part(mail.head, mail.body, "text/plain", allows_plain=True)
    elif content_type:
        yield "H-28", f"Content-Type {content_type!r} is not multipart/alternative"


def _alternatives(mail: _Mail, boundary: bytes) -> _Found:
    preamble, *parts = (b"\r\n" + mail.body).split(b"\r\n--" + boundary)
    if len(parts) != 3 or not parts[-1].startswith(b"--") or parts[-1].strip() != b"--":
        yield "H-28", "not two parts between three boundaries"
        return
    if preamble.strip():
        yield "H-28", "text stands before the first part"
    for part, media_type in zip(parts, ("text/plain", "text/html"), strict=False):
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        yield from _part(head, body, media_type, allows_plain=mail.is_system)


def _part(head: bytes, body: bytes, media_type: str, *, allows_plain: bool) -> _Found:
    fields, _ = _read_fields(head)
    values = {field.name.lower(): field.value for field in fields}
    match = _TEXT_TYPE.fullmatch(values.get("content-type", ""))
    if match is None or match[1].lower() != media_type:
        yield "H-28", f"the {media_type} part is not declared as such in utf-8"
    encoding = values.get("content-transfer-encoding", "")
    content = _decoded(body, encoding, allows_plain=allows_plain)
    if content is None:
        yield "H-28", f"the {media_type} part is no {encoding or 'encoded'} text in utf-8"
    elif not content.strip():
        yield "H-28", f"the {media_type} part is empty"
    if encoding != "7bit" and any(len(line) > LONGEST_ENCODED for line in body.split(b"\r\n")):
        yield "H-28", f"the {media_type} part has an encoded line of over {LONGEST_ENCODED} octets"


def _decoded(body: bytes, encoding: str, *, allows_plain: bool) -> str | None:
    try:
        match encoding:
            case "quoted-printable":
                return binascii.a2b_qp(body).decode() if _is_quoted_printable(body) else None
            case "base64":
                return base64.b64decode(body.replace(b"\r\n", b""), validate=True).decode()
            case "7bit":
                return body.decode("ascii") if allows_plain else None
            case _:
                return None
    except ValueError:
        return None


def _is_quoted_printable(body: bytes) -> bool:
    """RFC 2045 section 6.7, strictly: also no blank at a line's end."""
    return not (
        _STRAY_EQUALS.search(body)
        or _UNPRINTABLE.search(body)
        or _has_half_a_line_end(body)
        or any(blank in body + b"\r\n" for blank in (b" \r\n", b"\t\r\n"))
    )


_RULES: tuple[_Rule, ...] = (
    _octets,
    _header_lines,
    _field_names,
    _encoded_words,
    _structured_fields,
    _mailboxes,
    _subject,
    _date,
    _message_id,
    _list_fields,
    _automatic,
    _unsubscribe,
    _structure,
)

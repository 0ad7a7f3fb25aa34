"""What may stand in the fields that people fill in about themselves and about their lists.

The `read_…` functions raise `InputError` with the field's name and what to write instead.
"""

import re
import unicodedata
from datetime import date, time
from typing import NoReturn

from newsletter.audience.zones import find_zone
from newsletter.errors import InputError
from newsletter.words import Words

LONGEST_NAME = 200
LONGEST_KEY = 63

# C0, DEL, C1 and the Unicode line ends: each of them may end a header line somewhere. A lone
# surrogate, as a terminal makes of bytes that are no UTF-8, cannot be stored.
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_KEY = re.compile(r"[a-z0-9]+(?:-+[a-z0-9]+)*", re.ASCII)
_DATE_ADVICE = Words("write a date as year-month-day, like 2026-03-05")
_TIME = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8})*", re.IGNORECASE | re.ASCII)
_LONGEST_LANGUAGE = 35


def find_language(text: str) -> str | None:
    """The BCP 47 tag that `text` means (`pt_BR` is pt-BR); None when it has no such shape."""
    tag = text.strip().replace("_", "-")
    return tag if len(tag) <= _LONGEST_LANGUAGE and _LANGUAGE.fullmatch(tag) else None


def read_key(field: str, text: str) -> str:
    """A name that never changes: in addresses, in files, in a List-Id (RFC 2919)."""
    if len(text) > LONGEST_KEY or not _KEY.fullmatch(text):
        refuse(
            field,
            "write 1 to {longest} of a-z, 0-9 and - between them, like morning-briefing",
            longest=LONGEST_KEY,
        )
    return text


def read_line(field: str, text: str, *, longest: int, may_be_empty: bool = False) -> str:
    if CONTROL_CHARACTER.search(text):
        refuse(field, "write it on one line, without line breaks or control characters")
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if not text and not may_be_empty:
        refuse(field, "it must not be empty")
    if len(text) > longest:
        refuse(
            field,
            "it has {length} characters; write at most {longest}",
            length=len(text),
            longest=longest,
        )
    return text


def read_language(field: str, text: str) -> str:
    tag = find_language(text)
    if tag is None:
        refuse(field, "write a language tag like en, zh or pt-BR")
    return tag


def read_zone(field: str, text: str) -> str:
    zone = find_zone(text.strip())
    if zone is None:
        refuse(field, "write an IANA time zone like Europe/Berlin or Asia/Shanghai")
    return zone


def read_time(field: str, text: str) -> time:
    found = _TIME.fullmatch(text.strip())
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        refuse(field, "write a time of day from 00:00 to 23:59, like 07:00")
    return time(int(found[1]), int(found[2]))


def read_date(field: str, text: str) -> date:
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        refuse(field, _DATE_ADVICE)
    # It takes 20260305 and 2026-W10-4 as well.
    if found.isoformat() != text.strip():
        refuse(field, _DATE_ADVICE)
    return found


def refuse(field: str, advice: str, /, **values: object) -> NoReturn:
    raise InputError(advice, field=field, **values)

"""Makes one person and their status of one record of an import, or says why it cannot be."""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

from newsletter.addresses import LONGEST_ADDRESS, key_hash, mask_address
from newsletter.audience.attributes import read_value
from newsletter.audience.delimited import Record
from newsletter.audience.fields import CONTROL_CHARACTER, LONGEST_NAME, find_language
from newsletter.audience.import_addresses import AddressReader
from newsletter.audience.import_columns import ATTRIBUTE, Columns
from newsletter.audience.tags import read_tags
from newsletter.audience.zones import find_zone
from newsletter.errors import AddressError, InputError
from newsletter.models import Attribute, SubscriptionStatus, SuppressionReason

T = TypeVar("T")

LONGEST_SHOWN = 40
LONGEST_FACT = 200
MOST_REMEMBERED = 5_000

# What another program put before a cell that a spreadsheet would calculate; `exporting` does so too.
_DISARMED = re.compile(r"'+[=+\-@\t\r]")
# Go's time.String(), as listmonk writes it: 2024-01-02 15:04:05.999 +0100 CET.
_GO_TIME = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d{4})(?: \S+)?")
_NEVER = "0001-01-01"
_ON_THIS_LIST = " on this list"

_STATUSES = {
    **dict.fromkeys(("subscribed", "confirmed", "active", "enabled"), SubscriptionStatus.CONFIRMED),
    **dict.fromkeys(("unconfirmed", "pending"), SubscriptionStatus.PENDING),
    **dict.fromkeys(
        ("unsubscribed", "disabled", "opted out", "opted-out"), SubscriptionStatus.UNSUBSCRIBED
    ),
}

# These people stay on the list, so that every plan counts them and says why they got nothing.
# Whose address was dead may be back one day; the others want no mail, at any address.
_SUPPRESSING = {
    **dict.fromkeys(("bounced", "cleaned", "hard bounced"), SuppressionReason.BOUNCED),
    **dict.fromkeys(("complained", "complaint", "spam"), SuppressionReason.COMPLAINED),
    "on request": SuppressionReason.ON_REQUEST,
    **dict.fromkeys(
        ("blocked", "blocklisted", "blacklisted", "suppressed", "imported"),
        SuppressionReason.IMPORTED,
    ),
}
STATUS_WORDS = (*_STATUSES, *_SUPPRESSING)

_FACTS = {
    "consented": "consented_at",
    "consent ip": "consent_ip",
    "confirmed ip": "confirmed_ip",
    "consent source": "consent_source",
}


class Rejection(StrEnum):
    INVALID_ADDRESS = "invalid address"
    REPEATED = "address repeated"
    UNKNOWN_ZONE = "unknown time zone"
    UNKNOWN_LANGUAGE = "unknown language"
    UNKNOWN_STATUS = "unknown status"
    BAD_DATE = "bad date"
    BAD_TAG = "bad tag"
    BAD_ATTRIBUTE = "bad attribute"
    WRONG_FIELDS = "wrong number of fields"
    BROKEN_QUOTES = "quotes do not match"
    CONTROL_CHARACTER = "control character"
    UNDECODABLE = "not in the encoding"
    TOO_LONG = "too long"


class Row(NamedTuple):
    """A tuple because one is made per line. Times are UTC, as text that both stores take."""

    line: int
    address: str
    key: str
    hash: bytes
    domain: str
    zone: str | None
    language: str | None
    name: str
    attributes: str | None
    """As JSON; None: the file says nothing."""
    tags: tuple[str, ...]
    status: int
    suppression: str | None
    is_suppressed_everywhere: bool
    joined_at: str | None
    left_at: str | None
    suppressed_at: str | None
    facts: str
    """What the old system says about the consent: members of a JSON object, or nothing."""
    is_repeat: bool = False
    """An earlier line had the same address, and this one ends mail to it."""

    @property
    def ends_mail(self) -> bool:
        return self.suppression is not None or self.status == SubscriptionStatus.UNSUBSCRIBED


class RejectedError(InputError):
    field: str

    def __init__(self, reason: Rejection, field: str, text: str) -> None:
        super().__init__(reason, field=field)
        self.reason = reason
        self.text = text


class RowReader:
    """Reads the records of one file; what its cells repeat is judged once."""

    def __init__(
        self,
        columns: Columns,
        *,
        words: Mapping[str, str],
        file_status: str | None,
        attributes: Mapping[str, Attribute],
        is_decoded_strictly: bool,
        now: datetime,
    ) -> None:
        """`words` are a preset's; `now` is the instant after which nothing can have happened."""
        self._width = columns.width
        self._places = columns.places
        self._words = words
        self._file_status = file_status
        self._attributes = {
            place: attributes[meaning.removeprefix(ATTRIBUTE)]
            for meaning, place in columns.places.items()
            if meaning.startswith(ATTRIBUTE)
        }
        self._schema = attributes
        self._facts = [
            (name, place)
            for meaning, name in _FACTS.items()
            if (place := columns.places.get(meaning)) is not None
        ]
        self._is_decoded_strictly = is_decoded_strictly
        self._now = now
        self._address_place = columns.places["address"]
        self._addresses = AddressReader()
        self._zone = _remembering(_read_zone)
        self._language = _remembering(_read_language)
        self._status = _remembering(self._read_status)
        self._tags = _remembering(_read_tags)

    def read(self, record: Record) -> Row:
        """Raises `RejectedError`."""
        line, fields = record
        if len(fields) != self._width:
            text = f"{len(fields)} instead of {self._width}"
            raise RejectedError(Rejection.WRONG_FIELDS, "line", text)
        if not self._is_decoded_strictly and any("\ufffd" in field for field in fields):
            raise RejectedError(Rejection.UNDECODABLE, "line", "choose another encoding")
        cell = self._cell
        status, reason = self._status(cell(fields, "status"))
        reason, is_everywhere = self._suppression(cell(fields, "suppressed"), reason)
        address, key, domain = self._read_address(fields)
        places = self._places
        joined = self._date("joined", cell(fields, "joined")) if "joined" in places else None
        left = self._date("left", cell(fields, "left")) if "left" in places else None
        return Row(
            line,
            address,
            key,
            key_hash(key),
            domain,
            self._zone(cell(fields, "zone")) if "zone" in places else None,
            self._language(cell(fields, "language")) if "language" in places else None,
            self._name(fields),
            self._read_attributes(fields),
            self._tags(cell(fields, "tags")) if "tags" in places else (),
            status,
            reason,
            is_everywhere,
            joined,
            left,
            self._date("suppressed at", cell(fields, "suppressed at")) or left if reason else None,
            self._read_facts(fields),
        )

    def _cell(self, fields: list[str], meaning: str) -> str:
        place = self._places.get(meaning)
        if place is None:
            return ""
        return _armed(fields[place].strip())

    def _read_address(self, fields: list[str]) -> tuple[str, str, str]:
        text = _armed(fields[self._address_place].strip())
        try:
            return self._addresses.read(text)
        except AddressError as error:
            raise RejectedError(_address_rejection(text), "address", mask_address(text)) from error

    def _name(self, fields: list[str]) -> str:
        name = self._cell(fields, "name")
        if not name:
            parts = (self._cell(fields, "first name"), self._cell(fields, "last name"))
            name = " ".join(part for part in parts if part)
        return name if name.isascii() and _is_plain(name) else _read_name(name)

    def _read_status(self, text: str) -> tuple[int, str | None]:
        word = text.casefold()
        word = self._words.get(word, word) or self._file_status or ""
        reason = _SUPPRESSING.get(word)
        if reason is not None:
            is_dead = reason is SuppressionReason.BOUNCED
            status = SubscriptionStatus.CONFIRMED if is_dead else SubscriptionStatus.UNSUBSCRIBED
            return int(status), reason.value
        if word in _STATUSES:
            return int(_STATUSES[word]), None
        if "status" not in self._places and not word:
            return int(SubscriptionStatus.CONFIRMED), None
        raise RejectedError(Rejection.UNKNOWN_STATUS, "status", _shown(text) or "empty")

    def _suppression(self, text: str, reason: str | None) -> tuple[str | None, bool]:
        if not text:
            return reason, True
        word = text.casefold()
        found = _SUPPRESSING.get(word.removesuffix(_ON_THIS_LIST))
        if found is None:
            raise RejectedError(Rejection.UNKNOWN_STATUS, "suppressed", _shown(text))
        return found.value, not word.endswith(_ON_THIS_LIST)

    def _date(self, field: str, text: str) -> str | None:
        if not text or text.startswith(_NEVER):
            return None
        try:
            at = _parse_date(text)
        except (ValueError, OverflowError) as error:
            raise RejectedError(Rejection.BAD_DATE, field, _shown(text)) from error
        if at > self._now:
            raise RejectedError(Rejection.BAD_DATE, field, f"{_shown(text)} is yet to come")
        return stored_time(at)

    def _read_attributes(self, fields: list[str]) -> str | None:
        values: dict[str, object] = {}
        if "attributes" in self._places:
            values = self._read_object(self._cell(fields, "attributes"))
        for place, attribute in self._attributes.items():
            text = _armed(fields[place].strip())
            if text:
                values[attribute.key] = _value(attribute, text)
        return json.dumps(values) if values else None

    def _read_object(self, text: str) -> dict[str, object]:
        """What of another system's attributes this installation keeps as well."""
        if not text:
            return {}
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RejectedError(Rejection.BAD_ATTRIBUTE, "attributes", "not a JSON object")
        return {
            key: _value(self._schema[key], value)
            for key, value in found.items()
            if key in self._schema and value not in (None, "")
        }

    def _read_facts(self, fields: list[str]) -> str:
        facts = {
            name: CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text[:LONGEST_FACT])
            for name, place in self._facts
            if (text := _armed(fields[place].strip()))
        }
        return f", {json.dumps(facts)[1:-1]}" if facts else ""


def stored_time(at: datetime) -> str:
    """UTC without saying so, which is how SQLite keeps it."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _remembering(read: Callable[[str], T]) -> Callable[[str], T]:
    """The same function, which forgets everything when it has learned too much."""
    known: dict[str, T] = {}

    def look_up(text: str) -> T:
        found = known.get(text)
        if found is None and text not in known:
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            found = known[text] = read(text)
        return found  # type: ignore[return-value]

    return look_up


def _armed(text: str) -> str:
    return text[1:] if text[:1] == "'" and _DISARMED.match(text) else text


def _address_rejection(text: str) -> Rejection:
    if CONTROL_CHARACTER.search(text):
        return Rejection.CONTROL_CHARACTER
    if len(text) > LONGEST_ADDRESS:
        return Rejection.TOO_LONG
    return Rejection.INVALID_ADDRESS


def _read_zone(text: str) -> str | None:
    zone = find_zone(text)
    if text and zone is None:
        raise RejectedError(Rejection.UNKNOWN_ZONE, "zone", _shown(text))
    return zone


def _read_language(text: str) -> str | None:
    language = find_language(text)
    if text and language is None:
        raise RejectedError(Rejection.UNKNOWN_LANGUAGE, "language", _shown(text))
    return language


def _read_tags(text: str) -> tuple[str, ...]:
    try:
        return read_tags(text)
    except InputError as error:
        raise RejectedError(Rejection.BAD_TAG, "tags", _shown(text)) from error


def _value(attribute: Attribute, value: object) -> object:
    try:
        return read_value(attribute, value)
    except InputError as error:
        shown = _shown(value) if isinstance(value, str) else type(value).__name__
        field = f"attribute {attribute.key}"
        raise RejectedError(Rejection.BAD_ATTRIBUTE, field, shown) from error


def _is_plain(name: str) -> bool:
    return name.isprintable() and len(name) <= LONGEST_NAME and "  " not in name


def _read_name(name: str) -> str:
    if CONTROL_CHARACTER.search(name):
        raise RejectedError(Rejection.CONTROL_CHARACTER, "name", "a line break or the like")
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if len(name) > LONGEST_NAME:
        text = f"{len(name)} characters, at most {LONGEST_NAME}"
        raise RejectedError(Rejection.TOO_LONG, "name", text)
    return name


def _parse_date(text: str) -> datetime:
    """Without an offset it is UTC."""
    found = _GO_TIME.fullmatch(text)
    at = datetime.fromisoformat("".join(found.groups()) if found else text)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _shown(text: str) -> str:
    """Fit to be printed: short, no control characters, no address in full."""
    if "@" in text:
        return mask_address(text)
    text = CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text.strip())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"

"""Makes one person and their status of one record of an import, or says why it cannot be."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from newsletter.addresses import LONGEST_ADDRESS, address_hash, mask_address, parse_address
from newsletter.audience.delimited import Record
from newsletter.audience.directory import Person
from newsletter.audience.fields import CONTROL_CHARACTER, LONGEST_NAME, find_language
from newsletter.audience.zones import find_zone
from newsletter.errors import AddressError, InputError
from newsletter.models import SubscriptionStatus, SuppressionReason

MOST_COLUMNS = 200
LONGEST_SHOWN = 40

_NOT_A_LETTER = re.compile(r"[\s_-]+")

_COLUMNS = {
    "email": "address",
    "emailaddress": "address",
    "address": "address",
    "mail": "address",
    "name": "name",
    "fullname": "name",
    "firstname": "first name",
    "lastname": "last name",
    "surname": "last name",
    "zone": "zone",
    "timezone": "zone",
    "tz": "zone",
    "language": "language",
    "lang": "language",
    "locale": "language",
    "status": "status",
    "joinedat": "joined",
    "joined": "joined",
    "createdat": "joined",
    "subscribedat": "joined",
}

_STATUSES = {
    "": SubscriptionStatus.CONFIRMED,
    "subscribed": SubscriptionStatus.CONFIRMED,
    "confirmed": SubscriptionStatus.CONFIRMED,
    "active": SubscriptionStatus.CONFIRMED,
    "enabled": SubscriptionStatus.CONFIRMED,
    "unconfirmed": SubscriptionStatus.PENDING,
    "pending": SubscriptionStatus.PENDING,
    "unsubscribed": SubscriptionStatus.UNSUBSCRIBED,
}

# These people stay on the list, so that every plan counts them and says why they got nothing.
_SUPPRESSING = {
    "bounced": SuppressionReason.BOUNCED,
    "complained": SuppressionReason.COMPLAINED,
    "blocked": SuppressionReason.IMPORTED,
    "blocklisted": SuppressionReason.IMPORTED,
    "suppressed": SuppressionReason.IMPORTED,
}


class Rejection(StrEnum):
    INVALID_ADDRESS = "invalid address"
    REPEATED = "address repeated"
    UNKNOWN_ZONE = "unknown time zone"
    UNKNOWN_LANGUAGE = "unknown language"
    UNKNOWN_STATUS = "unknown status"
    BAD_DATE = "bad date"
    WRONG_FIELDS = "wrong number of fields"
    BROKEN_QUOTES = "quotes do not match"
    CONTROL_CHARACTER = "control character"
    TOO_LONG = "too long"


@dataclass(frozen=True, slots=True)
class Row:
    line: int
    person: Person
    status: SubscriptionStatus
    suppression: SuppressionReason | None
    joined_at: datetime | None
    is_repeat: bool = False
    """An earlier line of the file had the same address."""

    @property
    def ends_mail(self) -> bool:
        return self.suppression is not None or self.status is SubscriptionStatus.UNSUBSCRIBED


class RejectedError(InputError):
    def __init__(self, reason: Rejection, field: str, text: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.text = text


@dataclass(frozen=True, slots=True)
class Columns:
    """Which field of a record holds what."""

    width: int
    places: Mapping[str, int]
    ignored: tuple[str, ...]

    @classmethod
    def read(cls, header: Record) -> "Columns":
        if len(header.fields) > MOST_COLUMNS:
            message = (
                f"line {header.line}: the header has {len(header.fields)} columns; "
                f"keep at most {MOST_COLUMNS}"
            )
            raise InputError(message)
        places: dict[str, int] = {}
        ignored = []
        for place, title in enumerate(header.fields):
            meaning = _COLUMNS.get(_NOT_A_LETTER.sub("", title.casefold()))
            if meaning is None:
                ignored.append(_shown(title))
            elif meaning in places:
                message = (
                    f"line {header.line}: columns {places[meaning] + 1} and {place + 1} both hold "
                    f"the {meaning}; rename or remove one"
                )
                raise InputError(message)
            else:
                places[meaning] = place
        if "address" not in places:
            message = (
                f"line {header.line}: no column is called email, e-mail or address, but: "
                f"{', '.join(ignored) or 'nothing'}; name the columns in the first line"
            )
            raise InputError(message)
        return cls(len(header.fields), places, tuple(ignored))

    def text(self, fields: list[str], meaning: str) -> str:
        place = self.places.get(meaning)
        return "" if place is None else fields[place].strip()


def read_row(record: Record, columns: Columns, now: datetime) -> Row:
    """Raises `RejectedError`."""
    fields = record.fields
    if len(fields) != columns.width:
        text = f"{len(fields)} instead of {columns.width}"
        raise RejectedError(Rejection.WRONG_FIELDS, "line", text)
    word = columns.text(fields, "status").casefold()
    suppression = _SUPPRESSING.get(word)
    status = SubscriptionStatus.CONFIRMED if suppression else _STATUSES.get(word)
    if status is None:
        raise RejectedError(Rejection.UNKNOWN_STATUS, "status", _shown(word))
    return Row(
        record.line,
        _read_person(fields, columns),
        status,
        suppression,
        _read_date(columns.text(fields, "joined"), now),
    )


def _read_person(fields: list[str], columns: Columns) -> Person:
    text = columns.text(fields, "address")
    try:
        address = parse_address(text)
    except AddressError as error:
        raise RejectedError(_address_rejection(text), "address", mask_address(text)) from error
    zone = columns.text(fields, "zone")
    language = columns.text(fields, "language")
    return Person(
        address,
        address.key,
        address_hash(address),
        name=_read_name(fields, columns),
        zone=_known("zone", zone, find_zone(zone), Rejection.UNKNOWN_ZONE),
        language=_known("language", language, find_language(language), Rejection.UNKNOWN_LANGUAGE),
    )


def _address_rejection(text: str) -> Rejection:
    if CONTROL_CHARACTER.search(text):
        return Rejection.CONTROL_CHARACTER
    if len(text) > LONGEST_ADDRESS:
        return Rejection.TOO_LONG
    return Rejection.INVALID_ADDRESS


def _known(field: str, text: str, meaning: str | None, rejection: Rejection) -> str | None:
    if text and meaning is None:
        raise RejectedError(rejection, field, _shown(text))
    return meaning


def _read_name(fields: list[str], columns: Columns) -> str:
    parts = [columns.text(fields, "first name"), columns.text(fields, "last name")]
    name = columns.text(fields, "name") or " ".join(part for part in parts if part)
    if CONTROL_CHARACTER.search(name):
        raise RejectedError(Rejection.CONTROL_CHARACTER, "name", "a line break or the like")
    name = unicodedata.normalize("NFC", name)
    if len(name) > LONGEST_NAME:
        text = f"{len(name)} characters, at most {LONGEST_NAME}"
        raise RejectedError(Rejection.TOO_LONG, "name", text)
    return name


def _read_date(text: str, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        joined_at = datetime.fromisoformat(text)
    except ValueError as error:
        raise RejectedError(Rejection.BAD_DATE, "joined", _shown(text)) from error
    if joined_at.tzinfo is None:
        joined_at = joined_at.replace(tzinfo=UTC)
    if joined_at > now:
        raise RejectedError(Rejection.BAD_DATE, "joined", f"{_shown(text)} is yet to come")
    return joined_at


def _shown(text: str) -> str:
    """Fit to be printed: short, no control characters, no address in full."""
    if "@" in text:
        return mask_address(text)
    text = CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", text.strip())
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"

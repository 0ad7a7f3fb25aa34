"""What a segment says of people, as typed conditions, and how each of them is written.

Each condition holds for a person or it does not: where something is unknown it does not, so that
`not` is always everybody else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import assert_never

# Words that end a value or a name unless they stand in quotation marks.
JOINING = frozenset({"and", "or", "not"})
NOT_VALUES = JOINING | {"known", "unknown"}

# An attribute called like one of them is written `attribute KEY`.
OPENING = JOINING | {
    *("attribute", "name", "language", "zone", "domain", "added", "tagged"),
    *("on", "pending", "joined", "left", "received", "clicked", "opened", "did"),
}

BARE = re.compile(r"[^\s()\",<>=!]+")


class Kind(StrEnum):
    """What a field holds; all but the last are kinds of attributes too."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"
    LANGUAGE = "language"
    ZONE = "zone"
    DOMAIN = "domain"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    kind: Kind
    is_attribute: bool = False
    choices: tuple[str, ...] = ()
    """In the order of the schema; only a choice has some."""


BUILT_IN = {
    each.name: each
    for each in (
        Field("name", Kind.TEXT),
        Field("language", Kind.LANGUAGE),
        Field("zone", Kind.ZONE),
        Field("domain", Kind.DOMAIN),
        Field("added", Kind.INSTANT),
    )
}


class Side(StrEnum):
    """Where a period lies as seen from a day, that day included or not."""

    BEFORE = "before"
    AFTER = "after"
    SINCE = "since"
    IS = "is"


@dataclass(frozen=True, slots=True)
class Calendar:
    side: Side
    day: date


@dataclass(frozen=True, slots=True)
class Recent:
    """So many times 24 hours up to the moment that is asked about."""

    days: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """The coming days; only a date can lie there."""

    days: int


Period = Calendar | Recent | Ahead


class Sign(StrEnum):
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class Likeness(StrEnum):
    CONTAINS = "contains"
    STARTS_WITH = "starts with"


class Standing(StrEnum):
    """How somebody stands to a list."""

    ON = "on"
    PENDING = "pending on"
    JOINED = "joined"
    LEFT = "left"


class Deed(StrEnum):
    RECEIVED = "received"
    CLICKED = "clicked"
    OPENED = "opened"


@dataclass(frozen=True, slots=True)
class OfEdition:
    edition_id: int
    column: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class OfList:
    slug: str
    column: int = field(compare=False)


Scope = OfEdition | OfList | None
"""Which editions are meant; None: any."""


@dataclass(frozen=True, slots=True)
class Known:
    field: Field


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field is one of these: texts, numbers or truths, after the kind of the field."""

    field: Field
    values: tuple[str | float | bool, ...]


@dataclass(frozen=True, slots=True)
class Like:
    field: Field
    likeness: Likeness
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    field: Field
    sign: Sign
    number: float


@dataclass(frozen=True, slots=True)
class Dated:
    field: Field
    period: Period


@dataclass(frozen=True, slots=True)
class Tagged:
    tag: str
    column: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Membership:
    """`period` is only said of who joined or left; None: whenever it was."""

    standing: Standing
    of: OfList
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    deed: Deed
    of: Scope = None
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Not:
    part: "Condition"


@dataclass(frozen=True, slots=True)
class Both:
    """All of them, two or more."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them at least; there are two or more."""

    parts: tuple["Condition", ...]


Simple = Known | OneOf | Like | Compared | Dated | Tagged | Membership | Activity
Condition = Simple | Not | Both | Either


def written(condition: Condition) -> str:
    """The one spelling of a condition; reading it gives the same condition again."""
    match condition:
        case Either(parts):
            return " or ".join(written(part) for part in parts)
        case Both(parts):
            return " and ".join(_bracketed(part, (Either,)) for part in parts)
        case Not(part):
            return f"not {_bracketed(part, (Either, Both))}"
        case _:
            return _simple(condition)


def parts_of(condition: Condition) -> Sequence[Simple]:
    """The simple conditions that it is made of, from left to right."""
    match condition:
        case Either(parts) | Both(parts):
            return [simple for part in parts for simple in parts_of(part)]
        case Not(part):
            return parts_of(part)
        case _:
            return [condition]


def _bracketed(condition: Condition, kinds: tuple[type, ...]) -> str:
    text = written(condition)
    return f"({text})" if isinstance(condition, kinds) else text


def _simple(condition: Simple) -> str:
    match condition:
        case Known(of):
            return f"{_field(of)} is known"
        case OneOf(of, (value,)):
            return f"{_field(of)} is {_value(value)}"
        case OneOf(of, values):
            return f"{_field(of)} in ({', '.join(map(_value, values))})"
        case Like(of, likeness, text):
            return f"{_field(of)} {likeness} {_value(text)}"
        case Compared(of, sign, number):
            return f"{_field(of)} {sign} {_value(number)}"
        case Dated(of, period):
            return f"{_field(of)} {_period(period)}"
        case Tagged(tag):
            return f"tagged {_word(tag, JOINING)}"
        case Membership(standing, of_list, when):
            return _joined(standing, _word(of_list.slug, JOINING), _period(when))
        case Activity(deed, scope, when):
            return _joined(deed, _scope(scope), _period(when))
        case _:
            assert_never(condition)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _field(shown: Field) -> str:
    if not shown.is_attribute or shown.name not in OPENING:
        return shown.name
    return f"attribute {_word(shown.name, JOINING)}"


def _scope(scope: Scope) -> str:
    match scope:
        case OfEdition(edition_id):
            return f"edition {edition_id}"
        case OfList(slug):
            return f"list {_word(slug, JOINING)}"
        case None:
            return ""
        case _:
            assert_never(scope)


def _period(period: Period | None) -> str:
    match period:
        case Calendar(side, day):
            return f"{side} {day.isoformat()}"
        case Recent(days):
            return f"in last {_days(days)}"
        case Ahead(days):
            return f"in next {_days(days)}"
        case None:
            return ""
        case _:
            assert_never(period)


def _days(days: int) -> str:
    return f"{days} day" if days == 1 else f"{days} days"


def _value(value: str | float | bool) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case str():
            return _word(value, NOT_VALUES)
        case _:
            return str(value)


def _word(text: str, reserved: frozenset[str]) -> str:
    if BARE.fullmatch(text) and text.lower() not in reserved:
        return text
    return '"' + text.replace('"', '""') + '"'

"""The language of segments: reads a text into a condition, or says at which column it went wrong.

It knows the attributes of the installation and nothing else of the database; whether there is such
a list, tag or edition is found out by whoever asks for the people.
"""

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NoReturn, TypeVar, assert_never

from newsletter.addresses import parse_address
from newsletter.audience.fields import CONTROL_CHARACTER, find_language
from newsletter.audience.segments.conditions import (
    BUILT_IN,
    JOINING,
    NOT_VALUES,
    Activity,
    Ahead,
    Both,
    Calendar,
    Compared,
    Condition,
    Dated,
    Deed,
    Either,
    Field,
    Kind,
    Known,
    Like,
    Likeness,
    Membership,
    Not,
    OfEdition,
    OfList,
    OneOf,
    Period,
    Recent,
    Scope,
    Side,
    Sign,
    Standing,
    Tagged,
    parts_of,
)
from newsletter.audience.zones import find_zone
from newsletter.errors import AddressError, InputError
from newsletter.models import Attribute
from newsletter.words import Words

LONGEST = 4_000
DEEPEST = 20
MOST_CONDITIONS = 100
MOST_VALUES = 200
MOST_DAYS = 36_500
_GREATEST_NUMBER = 10**15
_GREATEST_EDITION = 2**31 - 1
_LONGEST_SHOWN = 40

Vocabulary = Mapping[str, Field]
"""The attributes by key."""

Part = TypeVar("Part")


class QueryError(InputError):
    """`column` counts characters from 1; one more than there are means the end of the text."""

    def __init__(self, words: str, column: int, /, **values: object) -> None:
        super().__init__(
            "column {column}: {expected}", column=column, expected=Words(words, **values)
        )
        self.column = column


def vocabulary(attributes: Iterable[Attribute]) -> Vocabulary:
    return {
        each.key: Field(
            each.key, Kind(each.kind.value), is_attribute=True, choices=tuple(each.choices)
        )
        for each in attributes
    }


def read_condition(text: str, known: Vocabulary) -> Condition:
    """Raises `QueryError`, which says where, what was expected there and what was found."""
    if len(text) > LONGEST:
        raise QueryError(
            "a segment has at most {longest} characters; this one has {length}",
            LONGEST + 1,
            longest=LONGEST,
            length=len(text),
        )
    reader = _Reader(_tokens(text), known)
    condition = reader.whole()
    if (count := len(parts_of(condition))) > MOST_CONDITIONS:
        raise QueryError(
            "a segment has at most {most} conditions; this one has {count}",
            len(text) + 1,
            most=MOST_CONDITIONS,
            count=count,
        )
    return condition


class _Shape(StrEnum):
    WORD = "word"
    QUOTED = "quoted"
    MARK = "mark"
    END = "end"


@dataclass(frozen=True, slots=True)
class _Token:
    shape: _Shape
    text: str
    column: int

    def says(self, *words: str) -> bool:
        """It is one of these words or marks, in any capitals and not in quotation marks."""
        return self.shape in (_Shape.WORD, _Shape.MARK) and self.text.lower() in words

    @property
    def shown(self) -> str:
        if self.shape is _Shape.END:
            return "the end"
        text = self.text if len(self.text) <= _LONGEST_SHOWN else f"{self.text[:_LONGEST_SHOWN]}…"
        return f'"{CONTROL_CHARACTER.sub("�", text)}"'


_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"]|"")*")|(?P<mark><=|>=|!=|[(),<>=])|(?P<word>[^\s()",<>=!]+)"""
)


def _tokens(text: str) -> list[_Token]:
    tokens = []
    at = _skip_space(text, 0)
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            mark = Words("a closing quotation mark")
            what = mark if text[at] == '"' else Words("a condition")
            raise QueryError(
                "expected {what}, found {character!r}", at + 1, what=what, character=text[at]
            )
        shape = _Shape(found.lastgroup or "")
        inner = found[0][1:-1].replace('""', '"') if shape is _Shape.QUOTED else found[0]
        tokens.append(_Token(shape, inner, at + 1))
        at = _skip_space(text, found.end())
    return [*tokens, _Token(_Shape.END, "", len(text) + 1)]


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


class _Reader:
    """Goes through the tokens once, from left to right."""

    def __init__(self, tokens: Sequence[_Token], known: Vocabulary) -> None:
        self._tokens = tokens
        self._at = 0
        self._known = known
        self._depth = 0

    def whole(self) -> Condition:
        condition = self._either()
        if self._next.shape is not _Shape.END:
            self._refuse(Words("and, or, or the end"))
        return condition

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        if token.shape is not _Shape.END:
            self._at += 1
        return token

    def _took(self, *words: str) -> bool:
        if self._next.says(*words):
            self._at += 1
            return True
        return False

    def _refuse(self, expected: Words, at: _Token | None = None) -> NoReturn:
        token = at or self._next
        raise QueryError(
            "expected {expected}, found {found}", token.column, expected=expected, found=token.shown
        )

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._took("or"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Either(tuple(_flat(parts, Either)))

    def _both(self) -> Condition:
        parts = [self._negated([])]
        while self._took("and"):
            parts.append(self._negated(parts))
        return parts[0] if len(parts) == 1 else Both(tuple(_flat(parts, Both)))

    def _negated(self, before: Sequence[Condition]) -> Condition:
        """`before` are the conditions that this one is joined to by `and`."""
        opening = self._next
        if not self._next.says("not", "("):
            return self._simple(before)
        self._take()
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryError(
                "brackets and nots go at most {deepest} deep", opening.column, deepest=DEEPEST
            )
        inner = self._bracketed() if opening.text == "(" else Not(self._negated(before))
        self._depth -= 1
        return inner

    def _bracketed(self) -> Condition:
        inner = self._either()
        if not self._took(")"):
            self._refuse(Words("and, or, or a closing bracket"))
        return inner

    def _simple(self, before: Sequence[Condition]) -> Condition:
        token = self._next
        if token.shape is not _Shape.WORD or token.says(*JOINING):
            self._refuse(Words("a condition, like: language is en"))
        self._take()
        word = token.text.lower()
        match word:
            case "tagged":
                return self._tagged()
            case "on" | "joined" | "left":
                return self._membership(Standing(word))
            case "pending":
                self._expect("on")
                return self._membership(Standing.PENDING)
            case "received" | "clicked" | "opened":
                return self._activity(Deed(word))
            case "did":
                return self._not_done(before)
            case _:
                return self._of_field(self._field(token))

    def _field(self, token: _Token) -> Field:
        if built_in := BUILT_IN.get(token.text.lower()):
            return built_in
        if token.says("attribute"):
            token = self._name(Words("an attribute's key"))
        found = self._known.get(token.text.lower())
        if found is None:
            keys = ", ".join(sorted(self._known)) or "none yet"
            self._refuse(
                Words("{openings}, or an attribute ({keys})", openings=_OPENINGS, keys=keys), token
            )
        return found

    def _of_field(self, of: Field) -> Condition:
        match of.kind:
            case Kind.DATE | Kind.INSTANT:
                return self._dated(of)
            case Kind.NUMBER if self._next.says("<", "<=", ">", ">="):
                sign = Sign(self._take().text)
                return Compared(of, sign, self._number())
            case Kind.TEXT if self._next.says("contains", "starts"):
                return self._like(of)
            case _:
                return self._compared(of)

    def _compared(self, of: Field) -> Condition:
        if self._took("not"):
            self._expect("in")
            return Not(OneOf(of, self._several(of)))
        if self._took("in"):
            return OneOf(of, self._several(of))
        if self._took("!="):
            return Not(OneOf(of, (self._value(of),)))
        if not self._took("is", "="):
            self._refuse(
                _PREDICATES.get(of.kind, Words("is, is not, in, not in, is known or is unknown"))
            )
        return self._is(of, lambda: OneOf(of, (self._value(of),)))

    def _is(self, of: Field, one: Callable[[], Condition]) -> Condition:
        """What follows `is`."""
        if self._took("not"):
            return Not(Known(of) if self._took("known") else one())
        if self._took("known"):
            return Known(of)
        if self._took("unknown"):
            return Not(Known(of))
        return one()

    def _like(self, of: Field) -> Condition:
        likeness = Likeness.CONTAINS
        if self._take().says("starts"):
            self._expect("with")
            likeness = Likeness.STARTS_WITH
        return Like(of, likeness, self._text())

    def _dated(self, of: Field) -> Condition:
        if self._took("is", "="):
            return self._is(of, lambda: Dated(of, Calendar(Side.IS, self._day())))
        period = self._period(can_be_ahead=of.kind is Kind.DATE)
        if period is None:
            self._refuse(Words("is, before, after, since or in last"))
        return Dated(of, period)

    def _period(self, *, can_be_ahead: bool = False) -> Period | None:
        """None: none is said."""
        if self._next.says("before", "after", "since"):
            side = Side(self._take().text.lower())
            return Calendar(side, self._day())
        if not self._took("in"):
            return None
        self._took("the")
        if can_be_ahead and self._took("next"):
            return Ahead(self._days())
        if not self._took("last"):
            self._refuse(Words("last or next") if can_be_ahead else Words("last"))
        return Recent(self._days())

    def _days(self) -> int:
        token = self._take()
        count = int(token.text) if _is_number(token) else 0
        if not 0 < count <= MOST_DAYS:
            self._refuse(Words("a number of days, like: in last 30 days"), token)
        if self._took("day", "days"):
            return count
        if not self._took("week", "weeks"):
            self._refuse(Words("days or weeks"))
        if count * 7 > MOST_DAYS:
            self._refuse(Words("at most {most} days", most=MOST_DAYS), token)
        return count * 7

    def _day(self) -> date:
        token = self._take()
        try:
            found = date.fromisoformat(token.text)
        except ValueError:
            self._refuse(Words("a date like 2026-03-05"), token)
        if found.isoformat() != token.text or not 1900 <= found.year < 2200:
            self._refuse(Words("a date like 2026-03-05, of the years 1900 to 2199"), token)
        return found

    def _tagged(self) -> Condition:
        token = self._name(Words("a tag"))
        if "," in token.text:
            self._refuse(Words("a tag, which has no comma"), token)
        tag = " ".join(_composed(token.text.casefold()).split())
        return Tagged(tag, token.column)

    def _membership(self, standing: Standing) -> Condition:
        of = self._list()
        if standing in (Standing.ON, Standing.PENDING):
            return Membership(standing, of)
        return Membership(standing, of, self._period())

    def _list(self) -> OfList:
        token = self._name(Words("a list's slug"))
        return OfList(token.text.lower(), token.column)

    def _activity(self, deed: Deed) -> Activity:
        return Activity(deed, self._scope(), self._period())

    def _scope(self) -> Scope:
        if self._took("list"):
            return self._list()
        if not self._took("edition"):
            return None
        token = self._take()
        number = int(token.text) if _is_number(token) else 0
        if not 0 < number <= _GREATEST_EDITION:
            self._refuse(Words("an edition's number"), token)
        return OfEdition(number, token.column)

    def _not_done(self, before: Sequence[Condition]) -> Condition:
        """`did not click`: without an edition, list or period, those that were spoken of last."""
        self._expect("not")
        token = self._take()
        deed = _DEEDS.get(token.text.lower()) if token.shape is _Shape.WORD else None
        if deed is None:
            self._refuse(Words("receive, click or open"), token)
        done = self._activity(deed)
        if done.of is not None or done.period is not None:
            return Not(done)
        spoken_of = [part for part in before if isinstance(part, Activity)]
        if not spoken_of:
            self._refuse(Words("what of, like: did not {deed} edition 12", deed=token.text.lower()))
        return Not(Activity(deed, spoken_of[-1].of, spoken_of[-1].period))

    def _several(self, of: Field) -> tuple[str | float | bool, ...]:
        opening = self._next
        if not self._took("("):
            self._refuse(Words("values in brackets, like: in (en, zh)"))
        values = [self._value(of)]
        while self._took(","):
            values.append(self._value(of))
        if not self._took(")"):
            self._refuse(Words("a comma or a closing bracket"))
        if len(values) > MOST_VALUES:
            self._refuse(Words("at most {most} values", most=MOST_VALUES), opening)
        return tuple(dict.fromkeys(values))

    def _value(self, of: Field) -> str | float | bool:
        match of.kind:
            case Kind.TEXT:
                return self._text()
            case Kind.NUMBER:
                return self._number()
            case Kind.BOOLEAN:
                return self._truth()
            case Kind.CHOICE:
                by_folded = {choice.casefold(): choice for choice in of.choices}
                return self._meaning(
                    by_folded.get,
                    Words("one of: {choices}", choices=", ".join(of.choices)),
                    fold=True,
                )
            case Kind.LANGUAGE:
                return self._meaning(find_language, Words("a language like en or pt-BR")).lower()
            case Kind.ZONE:
                return self._meaning(find_zone, Words("a time zone like Europe/Berlin"))
            case Kind.DOMAIN:
                return self._meaning(_find_domain, Words("a domain like example.org"))
            case Kind.DATE | Kind.INSTANT:
                return self._day().isoformat()
            case _:
                assert_never(of.kind)

    def _meaning(
        self, find: Callable[[str], Part | None], expected: Words, *, fold: bool = False
    ) -> Part:
        token = self._plain(expected)
        found = find(" ".join(token.text.split()).casefold() if fold else token.text)
        if found is None:
            self._refuse(expected, token)
        return found

    def _text(self) -> str:
        return _composed(self._plain(Words("a text")).text)

    def _number(self) -> float:
        token = self._plain(Words("a number"))
        try:
            number = float(token.text)
        except ValueError:
            self._refuse(Words("a number like 12 or 3.5"), token)
        if not math.isfinite(number) or abs(number) > _GREATEST_NUMBER:
            self._refuse(
                Words("a number between -{greatest} and {greatest}", greatest=_GREATEST_NUMBER),
                token,
            )
        return int(number) if number.is_integer() else number

    def _truth(self) -> bool:
        token = self._plain(Words("yes or no"))
        if token.says("yes", "true"):
            return True
        if not token.says("no", "false"):
            self._refuse(Words("yes or no"), token)
        return False

    def _plain(self, expected: Words) -> _Token:
        """A value: a word that joins nothing, or anything in quotation marks."""
        return self._texted(expected, NOT_VALUES)

    def _name(self, expected: Words) -> _Token:
        return self._texted(expected, JOINING)

    def _texted(self, expected: Words, reserved: Iterable[str]) -> _Token:
        token = self._next
        if token.shape not in (_Shape.WORD, _Shape.QUOTED) or token.says(*reserved):
            self._refuse(expected)
        if not token.text.strip() or CONTROL_CHARACTER.search(token.text):
            self._refuse(
                Words("{expected}, on one line and without control characters", expected=expected)
            )
        return self._take()

    def _expect(self, word: str) -> None:
        if not self._took(word):
            self._refuse(Words(word))


_OPENINGS = Words(
    "name, language, zone, domain, added, tagged, on, pending on, joined, left, received, "
    "clicked, opened, did not"
)
_DEEDS = {"receive": Deed.RECEIVED, "click": Deed.CLICKED, "open": Deed.OPENED}
_PREDICATES = {
    Kind.TEXT: Words("is, is not, in, not in, contains, starts with, is known or is unknown"),
    Kind.NUMBER: Words("is, is not, <, <=, >, >=, in, not in, is known or is unknown"),
}


def _flat(parts: Iterable[Condition], kind: type[Either | Both]) -> Iterable[Condition]:
    """Brackets around more of the same say nothing."""
    for part in parts:
        if isinstance(part, kind):
            yield from part.parts
        else:
            yield part


def _is_number(token: _Token) -> bool:
    is_word = token.shape is _Shape.WORD
    return is_word and token.text.isascii() and token.text.isdecimal() and len(token.text) <= 10


def _composed(text: str) -> str:
    """As what is kept of people is written."""
    return unicodedata.normalize("NFC", text)


def _find_domain(text: str) -> str | None:
    try:
        return parse_address(f"somebody@{text}").domain
    except AddressError:
        return None

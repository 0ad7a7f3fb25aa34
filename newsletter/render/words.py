"""The fixed words of a letter, its dates and its fonts, in the language it is written in."""

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATALOGUE = Path(__file__).with_name("words.toml")
FALLBACK = "en"

# Tags that name no script, or name a region that implies one (BCP 47, RFC 5646).
_IMPLIED = {"zh": "zh-Hans", "zh-cn": "zh-Hans", "zh-sg": "zh-Hans"}
_IMPLIED |= dict.fromkeys(("zh-tw", "zh-hk", "zh-mo"), "zh-Hant")


@dataclass(frozen=True, slots=True)
class Words:
    """One language of the catalogue; words in braces stand for what is put in.

    `tag` is the BCP 47 tag that the HTML declares; `sans` and `serif` are CSS font stacks.
    """

    tag: str
    greeting: str
    greeting_nobody: str
    key_points: str
    source: str
    colon: str
    read_online: str
    view_in_browser: str
    unsubscribe: str
    preferences: str
    reason: str
    joined: str
    date: str
    day: str
    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    sans: str
    serif: str
    credits: Mapping[str, str]

    def greeting_to(self, name: str) -> str:
        return self.greeting.format(name=name) if name else self.greeting_nobody

    def joined_on(self, date: datetime.date | None) -> str:
        return self.joined.format(date=self._format(self.day, date)) if date else ""

    def long_date(self, date: datetime.date) -> str:
        return self._format(self.date, date)

    def credit(self, role: str, name: str) -> str:
        """A role that the catalogue does not know is named as it is."""
        return self.credits.get(role, f"{role}: {{name}}").format(name=name)

    def _format(self, pattern: str, date: datetime.date) -> str:
        return pattern.format(
            weekday=self.weekdays[date.weekday()],
            month=self.months[date.month - 1],
            day=date.day,
            year=date.year,
        )


def words_for(language: str, *, house: str = FALLBACK) -> Words:
    """The words for a text in `language`; `house`, the list's own tag, settles what that leaves open.

    A text in `zh` on a list in `zh-Hant` gets the traditional words. A language without words of
    its own gets English ones.
    """
    wanted = house if _primary(language) == _primary(house) else language
    return _catalogue().get(_settled(wanted), _catalogue()[FALLBACK])


def _primary(tag: str) -> str:
    return tag.partition("-")[0].lower()


def _settled(tag: str) -> str:
    if (implied := _IMPLIED.get(tag.lower())) is not None:
        return implied
    known = {name.lower(): name for name in _catalogue()}
    return known.get(tag.lower()) or known.get(_primary(tag), FALLBACK)


@cache
def _catalogue() -> dict[str, Words]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {
        tag: Words(
            tag=tag,
            **table | {"weekdays": tuple(table["weekdays"]), "months": tuple(table["months"])},
        )
        for tag, table in tables.items()
    }

"""Reads the date of a briefing, and the year that was left out."""

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_CHINESE_WEEKDAYS = "一二三四五六日"

_MONTH = (
    "|".join(rf"{name}|{name.upper()}|{name[:3]}|{name[:3].upper()}" for name in _MONTHS) + "|Sept"
)
_WEEKDAY = r"(?i:mon(?:day)?|tues?(?:day)?|wed(?:nesday)?|thu(?:rs?(?:day)?)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)\b"
_CHINESE_WEEKDAY = r"(?:星期|周|礼拜)([一二三四五六日天])"
_YEAR = r"(?:19|20)\d\d(?!\d)"
_BEFORE = rf"(?:\b({_WEEKDAY})\.?,?\s{{1,3}}(?:the\s)?)?"
_AFTER = rf"(?:\s{{0,3}}[,，(（|｜]?\s{{0,3}}(?:({_WEEKDAY})|{_CHINESE_WEEKDAY}))?"

_PATTERNS = {
    "month day": re.compile(
        rf"{_BEFORE}\b({_MONTH})\.?\s{{1,3}}(\d{{1,2}})(?:st|nd|rd|th)?(?![\d%])"
        rf"(?:,?\s{{1,3}}({_YEAR}))?{_AFTER}"
    ),
    "day month": re.compile(
        rf"{_BEFORE}\b(\d{{1,2}})(?:st|nd|rd|th)?\s{{1,3}}(?:of\s)?({_MONTH})\b\.?"
        rf"(?:,?\s{{1,3}}({_YEAR}))?{_AFTER}"
    ),
    "numbers": re.compile(rf"(?<!\d)((?:19|20)\d\d)[-/.](\d{{1,2}})[-/.](\d{{1,2}})(?!\d){_AFTER}"),
    "chinese": re.compile(
        rf"(?:{_CHINESE_WEEKDAY}[,，\s]{{0,2}})?(?:((?:19|20)\d\d)\s?年\s?)?"
        rf"(?<!\d)(\d{{1,2}})\s?月\s?(\d{{1,2}})\s?[日号]{_AFTER}"
    ),
}
_TODAY = re.compile(r"(?i:\btoday\b|\bgood morning\b|\bthis morning\b)|今天|今日|早上好")
_LINE_AROUND = re.compile(
    r"(?:date|published(?: on)?|posted(?: on)?|updated(?: on)?|日期|时间|发布时间|发布于|更新时间)?\s?[:：|｜]?\s?"
    r"(?:\(|（|\[|【)?\x00(?:\)|）|\]|】)?[\s,，|]{0,3}(?:\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\.?)?)?\s?[.。]?"
    r"(?:\s{1,3}(?:source|来源)[:：].{1,40})?",
    re.IGNORECASE,
)

# A day this close before the briefing's own is the news of that morning.
_FRESH = datetime.timedelta(days=14)
_NEAR = datetime.timedelta(days=60)
_OLDEST = 60


@dataclass(frozen=True)
class Mention:
    """A day named in a text; `weekday` counts from Monday = 0."""

    text: str
    month: int
    day: int
    year: int | None = None
    weekday: int | None = None
    is_today: bool = False

    @cached_property
    def date(self) -> datetime.date | None:
        return _date(self.year, self.month, self.day) if self.year else None

    def in_year(self, year: int) -> datetime.date | None:
        return _date(year, self.month, self.day)


@dataclass(frozen=True, slots=True)
class Dating:
    """`date` is None when no year makes sense; `contradicts` when the weekday is another one."""

    mention: Mention
    date: datetime.date | None
    has_year: bool
    contradicts: bool = False


def mentions(text: str) -> list[Mention]:
    return [mention for _, mention in sorted(_found(text), key=lambda found: found[0])]


def date_line(text: str) -> Mention | None:
    """The day of a line that holds a date and nothing else."""
    found = mentions(text) if len(text) <= 80 else []
    if not found or not _LINE_AROUND.fullmatch(text.replace(found[0].text, "\x00", 1)):
        return None
    return found[0]


def date_of(
    head: Sequence[Mention], everywhere: Sequence[Mention], *, today: datetime.date
) -> Dating | None:
    """The briefing's own day among those of its `head`, title and dateline first.

    A year left out is taken from a fully written date of about the same days `everywhere`,
    else it is the latest not after `today` in which the weekday fits.
    """
    if not head:
        return None
    mention = _completed(_own(head), head)
    if mention.year:
        date = mention.date
        return Dating(mention, date, has_year=True, contradicts=not _fits(date, mention.weekday))
    return _from_neighbours(mention, everywhere) or _latest(mention, today)


def _own(head: Sequence[Mention]) -> Mention:
    for mention in head:
        if mention.is_today:
            return mention
    return next((mention for mention in head if mention.weekday is not None), head[0])


def _completed(own: Mention, head: Sequence[Mention]) -> Mention:
    """What other mentions of the same day add: a year, a weekday."""
    same = [other for other in head if (other.month, other.day) == (own.month, own.day)]
    year = own.year or next((other.year for other in same if other.year), None)
    weekdays = [other.weekday for other in (own, *same) if other.weekday is not None]
    return Mention(own.text, own.month, own.day, year, weekdays[0] if weekdays else None)


def _from_neighbours(mention: Mention, everywhere: Sequence[Mention]) -> Dating | None:
    pairs = [
        (abs(date - other.date), date, _is_fresh(date - other.date))
        for other in everywhere
        if other.date
        for year in (other.date.year - 1, other.date.year, other.date.year + 1)
        if (date := mention.in_year(year)) and abs(date - other.date) <= _NEAR
    ]
    fitting = [pair for pair in pairs if _fits(pair[1], mention.weekday)]
    if fitting:
        return Dating(mention, min(fitting)[1], has_year=False)
    fresh = [pair for pair in pairs if pair[2]]
    if fresh:
        return Dating(mention, min(fresh)[1], has_year=False, contradicts=True)
    return None


def _is_fresh(gap: datetime.timedelta) -> bool:
    return datetime.timedelta() <= gap <= _FRESH


def _latest(mention: Mention, today: datetime.date) -> Dating:
    for year in range(today.year, max(today.year - _OLDEST, 0), -1):
        date = mention.in_year(year)
        if date and date <= today and _fits(date, mention.weekday):
            return Dating(mention, date, has_year=False)
    return Dating(mention, None, has_year=False, contradicts=True)


def _fits(date: datetime.date | None, weekday: int | None) -> bool:
    return date is not None and (weekday is None or date.weekday() == weekday)


def _found(text: str) -> Iterator[tuple[int, Mention]]:
    for kind, pattern in _PATTERNS.items():
        for match in pattern.finditer(text):
            if mention := _mention(kind, match):
                yield match.start(), mention


def _mention(kind: str, match: re.Match[str]) -> Mention | None:
    first, *middle, last, last_chinese = match.groups()
    match kind:
        case "month day":
            month, day, year = middle
        case "day month":
            day, month, year = middle
        case "numbers":
            year, (month, day) = first, middle
            first = None
        case _:
            year, month, day = middle
    weekday = first or last or last_chinese
    before = match.string[max(match.start() - 30, 0) : match.start()]
    return Mention(
        match[0].strip(),
        _month(month),
        int(day),
        int(year) if year else None,
        _weekday(weekday) if weekday else None,
        is_today=bool(_TODAY.search(before)),
    )


def _month(name: str) -> int:
    if name.isdigit():
        return int(name)
    return [month[:3].lower() for month in _MONTHS].index(name[:3].lower()) + 1


def _weekday(name: str) -> int:
    if name in _CHINESE_WEEKDAYS + "天":
        return _CHINESE_WEEKDAYS.find(name) if name != "天" else 6
    return [day[:3].lower() for day in _WEEKDAYS].index(name[:3].lower())


def _date(year: int, month: int, day: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, day)
    except ValueError:
        return None

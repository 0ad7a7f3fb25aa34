"""The words of a list's archive, in the language of the list, and times where the list is at home."""

import tomllib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter.models import MailingList
from newsletter.render.words import words_for

CATALOGUE = Path(__file__).with_name("archive_words.toml")


@dataclass(frozen=True, slots=True)
class ArchiveWords:
    """One language of the catalogue; words in braces are filled in."""

    tag: str
    title: str
    back: str
    subscribe: str
    older: str
    previous: str
    following: str
    corrected: str
    nothing: str
    feeds: str


@dataclass(frozen=True, slots=True)
class ListPlace:
    """Where a list is at home: its language, and its zone."""

    list: MailingList

    @property
    def words(self) -> ArchiveWords:
        return archive_words(self.list.language)

    def day(self, moment: datetime) -> str:
        """As the list's own letters write it."""
        local = moment.astimezone(ZoneInfo(self.list.zone))
        return words_for(self.list.language).long_date(local.date())

    def moment(self, moment: datetime) -> str:
        local = moment.astimezone(ZoneInfo(self.list.zone))
        return f"{self.day(moment)}, {local:%H:%M} {local.tzname()}"


def archive_words(language: str) -> ArchiveWords:
    return _catalogue()[words_for(language).tag]


@cache
def _catalogue() -> dict[str, ArchiveWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: ArchiveWords(tag=tag, **table) for tag, table in tables.items()}

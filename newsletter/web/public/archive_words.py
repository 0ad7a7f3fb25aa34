"""The words of a list's archive, in the language of the list."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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


def archive_words(language: str) -> ArchiveWords:
    return _catalogue()[words_for(language).tag]


@cache
def _catalogue() -> dict[str, ArchiveWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: ArchiveWords(tag=tag, **table) for tag, table in tables.items()}

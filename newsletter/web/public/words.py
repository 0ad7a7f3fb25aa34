"""The words of the public pages in the language of the person they are for."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from newsletter.render.words import words_for

CATALOGUE = Path(__file__).with_name("words.toml")


@dataclass(frozen=True, slots=True)
class PageWords:
    """One language of the catalogue; `tag` is what the HTML declares."""

    tag: str
    title: str
    question: str
    lead: str
    button: str
    done: str
    done_lead: str
    test: str
    test_lead: str


def page_words(subscriber_language: str | None, list_language: str) -> PageWords:
    """In the person's language, or else the list's; the tags are those that letters know."""
    letter = words_for(subscriber_language or list_language, house=list_language)
    return _catalogue()[letter.tag]


@cache
def _catalogue() -> dict[str, PageWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: PageWords(tag=tag, **table) for tag, table in tables.items()}

"""The words of the pages that are nobody's: the front page, and what went wrong."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request

from newsletter.render.words import words_for
from newsletter.web.client import wanted_language

CATALOGUE = Path(__file__).with_name("site_words.toml")


@dataclass(frozen=True, slots=True)
class SiteWords:
    """One language of the catalogue; `tag` is what the HTML declares."""

    tag: str
    index: str
    index_lead: str
    index_aside: str
    incomplete: str
    incomplete_lead: str
    nowhere: str
    nowhere_lead: str
    not_so: str
    not_so_lead: str
    too_much: str
    too_much_lead: str
    broken: str
    broken_lead: str
    away: str
    away_lead: str
    refused: str
    refused_lead: str

    def of_mistake(self, status: int) -> tuple[str, str]:
        """Title and lead of the page of an HTTP status."""
        words = {
            400: (self.incomplete, self.incomplete_lead),
            404: (self.nowhere, self.nowhere_lead),
            405: (self.not_so, self.not_so_lead),
            413: (self.too_much, self.too_much_lead),
            500: (self.broken, self.broken_lead),
            503: (self.away, self.away_lead),
        }
        return words.get(status, (self.refused, self.refused_lead))


def site_words(request: Request) -> SiteWords:
    """In the language that the browser wants, since nobody else says which."""
    return _catalogue()[words_for(wanted_language(request) or "en").tag]


@cache
def _catalogue() -> dict[str, SiteWords]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {tag: SiteWords(tag=tag, **table) for tag, table in tables.items()}

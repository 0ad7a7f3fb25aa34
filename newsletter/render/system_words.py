"""The words of single mails in the reader's language: a `words.toml` beside each mail's template."""

import tomllib
from collections.abc import Mapping
from functools import cache

from newsletter.render.words import words_for
from newsletter.settings import TEMPLATES

SYSTEM = TEMPLATES / "email" / "system"
LANGUAGE = "tag"
"""The word that every catalogue has by itself: what the HTML declares."""


def system_words(name: str, language: str) -> Mapping[str, str]:
    """Empty for a mail that speaks one language only."""
    catalogue = _catalogue(name)
    return catalogue[words_for(language).tag] if catalogue else {}


@cache
def _catalogue(name: str) -> dict[str, dict[str, str]]:
    file = SYSTEM / name / "words.toml"
    if not file.exists():
        return {}
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    return {tag: table | {LANGUAGE: tag} for tag, table in tables.items()}

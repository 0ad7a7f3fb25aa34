"""Tells the parts of a briefing by their words: series, heads of key points, greetings."""

import re
import tomllib
from pathlib import Path

_WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
_SERIES, _POINTS, _GREETING = (
    re.compile("|".join(_WORDS[part]), re.IGNORECASE) for part in ("series", "points", "greeting")
)
_LONGEST_NAME = 80


def names_series(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and bool(_SERIES.search(text))


def names_points(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and bool(_POINTS.search(text))


def greets(text: str) -> bool:
    return bool(_GREETING.search(text[:_LONGEST_NAME]))

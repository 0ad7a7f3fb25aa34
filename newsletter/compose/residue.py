"""Tells the leftovers of a copied web page from the briefing itself."""

import re
import tomllib
from enum import StrEnum
from pathlib import Path

_LONGEST = 400


class Residue(StrEnum):
    """What a matching line says about the lines after it."""

    TAIL = "tail"
    LINE = "line"


_PATTERNS = tomllib.loads(Path(__file__).with_name("residue.toml").read_text(encoding="utf-8"))
_TAIL = re.compile("|".join(_PATTERNS["tail"]), re.IGNORECASE)
_LINE = re.compile("|".join(_PATTERNS["line"]), re.IGNORECASE)


def residue(text: str) -> Residue | None:
    if len(text) > _LONGEST:
        return None
    if _TAIL.fullmatch(text):
        return Residue.TAIL
    if _LINE.fullmatch(text):
        return Residue.LINE
    return None

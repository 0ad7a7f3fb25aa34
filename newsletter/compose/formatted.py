"""Reads the text that `formatting` writes, in which every part is marked and nothing is guessed."""

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from newsletter.compose.briefing import (
    Briefing,
    Image,
    KeyPoint,
    RichText,
    Section,
    Span,
    Story,
    plain,
)
from newsletter.compose.bylines import CREDIT_ROLES
from newsletter.compose.findings import Findings, Place
from newsletter.compose.formatting import (
    DATE,
    HEADING,
    ITEM,
    LANGUAGE,
    RULE,
    SECTION,
    SERIES,
    SOURCE,
    TIE,
    TITLE,
)
from newsletter.compose.inline import read_inline
from newsletter.compose.matching import stories_of
from newsletter.compose.reading import Line
from newsletter.compose.review import (
    review_credits,
    review_points,
    review_quotes,
    review_stories,
)
from newsletter.compose.stories import Draft, Part, Stories, href_of
from newsletter.compose.units import Unit, joined

_KEYS = (TITLE, SERIES, DATE, LANGUAGE, *CREDIT_ROLES)
_KEY = re.compile(rf"(?P<key>{'|'.join(_KEYS)})\s*[:：](?P<value>.*)", re.IGNORECASE)
_LONGEST_HEAD = 20


def is_formatted(lines: Sequence[Line]) -> bool:
    """It begins with a head, be it that a rule was lost."""
    filled = [line.text.strip() for line in lines if line.text.strip()][:_LONGEST_HEAD]
    if not filled:
        return False
    if filled[0] == RULE:
        return len(filled) > 1 and _KEY.fullmatch(filled[1]) is not None
    return _KEY.fullmatch(filled[0]) is not None and RULE in filled


def read_formatted(lines: Sequence[Line], findings: Findings) -> Briefing:
    """Whatever the text: what is missing is a finding, and no word is left out."""
    reader = _Reader(findings)
    for line in lines:
        reader.read(line)
    reader.close_paragraph()
    return reader.briefing()


@dataclass(slots=True)
class _Head:
    values: dict[str, tuple[str, Place]] = field(default_factory=dict)
    intro: list[RichText] = field(default_factory=list)
    points: list[Unit] = field(default_factory=list)
    ties: list[str | None] = field(default_factory=list)

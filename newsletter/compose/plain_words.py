"""Makes one line of plain text of what other people's pages and feeds hold."""

import html
import re

import nh3

from newsletter.compose.findings import Findings
from newsletter.compose.reading import clean_lines

_LONGEST_READ = 20_000
_BLOCK = re.compile(r"</?(?:p|br|div|li|ul|ol|h[1-6]|td|tr|blockquote)\b", re.IGNORECASE)
_STOPS = (". ", "! ", "? ", "。", "！", "？")


def line_of(text: str, *, longest: int) -> str:
    """Without controls, on one line, and cut where a sentence ends, else where a word does."""
    lines = clean_lines(text[:_LONGEST_READ], Findings())
    words = " ".join(" ".join(line.text for line in lines).split())
    return words if len(words) <= longest else _cut(words, longest)


def line_of_html(markup: str, *, longest: int) -> str:
    """The same of HTML: the words alone."""
    text = nh3.clean(_BLOCK.sub(r" \g<0>", markup[:_LONGEST_READ]), tags=set())
    return line_of(html.unescape(text), longest=longest)


def _cut(words: str, longest: int) -> str:
    start = words[: longest - 1]
    end = max(start.rfind(stop) for stop in _STOPS)
    if end > longest // 2:
        return start[: end + 1].rstrip()
    return f"{start.rpartition(' ')[0] or start}…"

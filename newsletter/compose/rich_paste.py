"""Turns what Word, Google Docs or a web page put on the clipboard as HTML into briefing text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree, html

from newsletter.compose.briefing import RichText, Span, plain
from newsletter.compose.formatting import format_rich
from newsletter.compose.inline import is_web_address
from newsletter.compose.tidy import tidy_rich
from newsletter.errors import InputError

LONGEST_PASTE = 2 * 1024 * 1024
_DEEPEST = 200

MARKDOWN_LEVELS = (1, 2, 3, 3, 3, 3)
"""For a text that is yet to be read: title, section, story."""
FORMATTED_LEVELS = (1, 1, 2, 2, 2, 2)
"""For a text whose title stands in its head: section, story."""

_BLOCKS = frozenset(
    {
        *(
            "address",
            "article",
            "aside",
            "blockquote",
            "body",
            "dd",
            "div",
            "dl",
            "dt",
            "figcaption",
        ),
        *(
            "figure",
            "footer",
            "form",
            "header",
            "hr",
            "html",
            "li",
            "main",
            "nav",
            "ol",
            "p",
            "pre",
        ),
        *("section", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"),
    }
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNSEEN = frozenset(
    {
        *("head", "style", "script", "title", "meta", "link", "template", "noscript"),
        *("svg", "math", "object", "iframe"),
    }
)
_BOLD = re.compile(r"(?:^|;)\s*font-weight\s*:\s*(?:bold|bolder|[6-9]00)", re.IGNORECASE)
_REGULAR = re.compile(r"(?:^|;)\s*font-weight\s*:\s*(?:normal|lighter|[1-5]00)", re.IGNORECASE)
_ITALIC = re.compile(r"(?:^|;)\s*font-style\s*:\s*(?:italic|oblique)", re.IGNORECASE)
_UPRIGHT = re.compile(r"(?:^|;)\s*font-style\s*:\s*normal", re.IGNORECASE)
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|mso-hide\s*:\s*all)", re.IGNORECASE)
_WORD_MARK = re.compile(r"mso-list\s*:\s*ignore", re.IGNORECASE)
_WORD_ITEM = re.compile(r"mso-list\s*:", re.IGNORECASE)
_NUMBER = re.compile(r"\(?([0-9]{1,3}|[A-Za-z])[.)]")
_SPACE = re.compile(r"\s+")


def text_of_html(pasted: str, *, levels: Sequence[int]) -> str:
    """Paragraphs, headings, lists, bold, emphasis and links; `levels` says how many # a heading of
    each level gets. Raises `InputError` for more than any document has.
    """
    if len(pasted) > LONGEST_PASTE:
        raise InputError("That is more than a briefing. Paste it as plain text, or in parts.")
    blocks = _Reader().read(pasted)
    return "\n\n".join(_written(block, levels) for block in blocks)


@dataclass(slots=True)
class _Block:
    """`level` is that of a heading, 0 for none; `mark` stands before a list's item."""

    level: int = 0
    mark: str = ""
    spans: list[Span] = field(default_factory=list)

    @property
    def rich(self) -> RichText:
        return tidy_rich(_loosened(self.spans))


@dataclass(frozen=True, slots=True)
class _Style:
    strong: bool = False
    emphasis: bool = False
    href: str | None = None
    is_verbatim: bool = False


class _Reader:
    def __init__(self) -> None:
        self.blocks: list[_Block] = [_Block()]
        self.counters: list[int | None] = []

    def read(self, pasted: str) -> list[_Block]:
        root = _parsed(pasted)
        if root is not None:
            self._walk(root, _Style(), 0)
        return [block for block in self.blocks if plain(block.rich)]

    def _walk(self, element: Any, style: _Style, depth: int) -> None:
        if not isinstance(element.tag, str) or depth > _DEEPEST:
            return
        tag, css = element.tag.lower(), element.get("style") or ""
        if tag in _UNSEEN or _HIDDEN.search(css):
            return
        if _WORD_MARK.search(css):
            self._mark_item(element.text_content())
            return
        is_block = tag in _BLOCKS or tag in _HEADINGS
        if is_block:
            self._start(tag, css)
        elif tag == "br":
            self._break()
        style = _styled(style, tag, css, element)
        if tag in ("ol", "ul"):
            self.counters.append(_start_of(element) if tag == "ol" else None)
        self._add(element.text, style)
        for child in element:
            self._walk(child, style, depth + 1)
            self._add(child.tail, style)
        if tag in ("ol", "ul"):
            self.counters.pop()
        if is_block:
            self.blocks.append(_Block())

    def _start(self, tag: str, css: str) -> None:
        block = self.blocks[-1]
        # Google Docs has a paragraph in each item; it is the item.
        if plain(tuple(block.spans)).strip() or not block.mark:
            self.blocks.append(block := _Block())
        if tag in _HEADINGS:
            block.level = _HEADINGS[tag]
        elif tag == "li":
            block.mark = self._next_mark()
        elif tag == "p" and _WORD_ITEM.search(css):
            block.mark = "• "

    def _break(self) -> None:
        """A line of its own; what Word wraps inside of a heading stays in it."""
        block = self.blocks[-1]
        if block.level:
            block.spans.append(Span(" "))
        else:
            self.blocks.append(_Block())

    def _next_mark(self) -> str:
        if not self.counters or self.counters[-1] is None:
            return "• "
        number = self.counters[-1]
        self.counters[-1] = number + 1
        return f"{number}. "

    def _mark_item(self, written: str) -> None:
        """Word writes the bullet or the number of an item as text."""
        number = _NUMBER.fullmatch(written.strip())
        self.blocks[-1].mark = f"{number[1]}. " if number else "• "

    def _add(self, text: str | None, style: _Style) -> None:
        if not text:
            return
        lines = text.split("\n") if style.is_verbatim else [text]
        for number, line in enumerate(lines):
            if number:
                self._break()
            span = Span(_SPACE.sub(" ", line), style.strong, style.emphasis, style.href)
            self.blocks[-1].spans.append(span)


def _parsed(pasted: str) -> Any:
    """None where there is nothing to read."""
    parser = html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True)
    try:
        return html.document_fromstring(pasted.replace("\x00", ""), parser=parser)
    except (etree.ParserError, ValueError):
        return None


def _styled(style: _Style, tag: str, css: str, element: Any) -> _Style:
    """What Google Docs says in CSS wins over the element: it wraps all in a b that is not bold."""
    strong = style.strong or tag in ("b", "strong")
    emphasis = style.emphasis or tag in ("i", "em")
    if _BOLD.search(css) or _REGULAR.search(css):
        strong = bool(_BOLD.search(css))
    if _ITALIC.search(css) or _UPRIGHT.search(css):
        emphasis = bool(_ITALIC.search(css))
    href = style.href
    if tag == "a" and is_web_address(target := (element.get("href") or "").strip()):
        href = target
    return _Style(strong, emphasis, href, style.is_verbatim or tag == "pre")


def _start_of(element: Any) -> int:
    written = element.get("start") or "1"
    return int(written) if written.isascii() and written.isdecimal() and len(written) < 4 else 1


def _loosened(spans: Sequence[Span]) -> Iterator[Span]:
    """Blanks at the edge of a style are outside of it, as people mean it who select a word."""
    joined = tidy_rich(_collapsed(spans))
    for span in joined:
        bare = span.text.strip()
        if not bare or not (span.strong or span.emphasis or span.href):
            yield span if bare else Span(span.text)
            continue
        lead = span.text[: len(span.text) - len(span.text.lstrip())]
        yield from (Span(lead), replace(span, text=bare), Span(span.text[len(lead + bare) :]))


def _collapsed(spans: Sequence[Span]) -> Iterator[Span]:
    """One blank between two words, as a browser shows it."""
    is_blank = True
    for span in spans:
        text = span.text[1:] if is_blank and span.text.startswith(" ") else span.text
        if text:
            is_blank = text.endswith(" ")
            yield replace(span, text=text)


def _written(block: _Block, levels: Sequence[int]) -> str:
    rich = block.rich
    if block.level:
        bare = tuple(replace(span, strong=False, emphasis=False) for span in rich)
        return f"{'#' * levels[block.level - 1]} {format_rich(tidy_rich(bare))}"
    return block.mark + format_rich(rich)

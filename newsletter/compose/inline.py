"""Marks inside a line: **bold**, *emphasis*, [links](https://…), ![images](…), [exact]{b} styles."""

import html
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from newsletter.compose.briefing import Image, RichText, Span, plain
from newsletter.words import Words

# No part of a pattern can run across the bracket that starts the next try, so that the time
# stays linear whatever the text.
_ADDRESS = r"<?(?:[^\s()（）<>]*(?:\([^\s()（）<>]*\)[^\s()（）<>]*){0,4})>?"
_TARGET = rf"\(\s{{0,9}}{_ADDRESS}(?:\s{{1,9}}[\"'“][^\"'”()]{{0,200}}[\"'”])?\s{{0,9}}\)"
_IMAGE = rf"[!！][\[［][^\[\]［］]{{0,4000}}[\]］](?:{_TARGET}|（\s{{0,9}}{_ADDRESS}\s{{0,9}}）)"
# For what no stars can say: bold that ends in a blank or stands inside a word is [text]{b}.
_STYLE = r"(?:\{(?:bi?|i)\})"
_TOKEN = re.compile(
    rf"""
      (?P<escape> \\[!-/:-@\[-`{{-~] )
    | (?P<image> \[{_IMAGE}\]{_TARGET} | {_IMAGE} )
    | (?P<link> \[[^\[\]]{{1,500}}\](?:{_TARGET}{_STYLE}?|{_STYLE}) )
    | (?P<address> <https?://[^\s<>]{{1,2000}}> )
    | (?P<entity> &(?:\#[0-9]{{1,7}}|\#[xX][0-9a-fA-F]{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}}); )
    | (?P<html> </?[A-Za-z][^<>]{{0,300}}> | <!--[^<>]{{0,300}}--> )
    | (?P<run> \*+ | _+ )
    """,
    re.VERBOSE,
)
_PARTS = re.compile(
    rf"[!！]?[\[［](?P<label>[^\[\]［］]*)[\]］][(（]\s*<?(?P<target>{_ADDRESS[2:-2]})"
)
_STYLED = re.compile(rf"\[(?P<label>[^\[\]]*)\](?P<style>{_STYLE})")
_LONGEST_REMEMBERED = 4_000
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u2060\ufeff\ud800-\udfff]")


class Problem(NamedTuple):
    """`at` counts characters of the text that was read."""

    code: str
    message: Words
    at: int


@dataclass(frozen=True, slots=True)
class Inline:
    rich: RichText
    images: tuple[Image, ...]
    problems: tuple[Problem, ...]


def read_inline(text: str) -> Inline:
    # While somebody types, all paragraphs but one are what they were.
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _read(text)


@lru_cache(maxsize=2048)
def _remembered(text: str) -> Inline:
    return _read(text)


def _read(text: str) -> Inline:
    reader = _Reader()
    reader.read(text)
    return Inline(strip(reader.spans()), tuple(reader.images), tuple(reader.problems))


def strip(rich: RichText) -> RichText:
    text = plain(rich)
    return cut(rich, len(text) - len(text.lstrip()), len(text.rstrip()))


def cut(rich: RichText, start: int, end: int) -> RichText:
    """The characters from `start` to `end` of the visible text, in their styles."""
    kept = []
    at = 0
    for span in rich:
        text = span.text[max(start - at, 0) : max(end - at, 0)]
        if text:
            kept.append(replace(span, text=text))
        at += len(span.text)
    return tuple(kept)


class _Text(NamedTuple):
    """`is_strong` and `is_emphasis` are its own, whatever the stars around it say."""

    text: str
    href: str | None
    is_strong: bool = False
    is_emphasis: bool = False


class _Styled(NamedTuple):
    strong: bool
    emphasis: bool
    href: str | None
    text: str


@dataclass(slots=True)
class _Mark:
    """A run of * or _ that may open or close a style."""

    text: str
    index: int
    opens: bool
    closes: bool
    is_used: bool = False


class _Reader:
    def __init__(self) -> None:
        self.pieces: list[_Text | _Mark] = []
        self.images: list[Image] = []
        self.problems: list[Problem] = []

    def read(self, text: str, *, base: int = 0, href: str | None = None) -> None:
        done = 0
        for match in _TOKEN.finditer(text):
            self._add(text[done : match.start()], href)
            self._token(match, base, href)
            done = match.end()
        self._add(text[done:], href)

    def spans(self) -> RichText:
        strong = self._paired(lambda mark: len(mark.text) in (2, 3))
        emphasis = self._paired(lambda mark: len(mark.text) in (1, 3))
        is_strong = is_emphasis = False
        styled: list[_Styled] = []
        for number, piece in enumerate(self.pieces):
            if isinstance(piece, _Text):
                styled.append(
                    _Styled(
                        is_strong or piece.is_strong,
                        is_emphasis or piece.is_emphasis,
                        piece.href,
                        piece.text,
                    )
                )
                continue
            is_strong ^= number in strong
            is_emphasis ^= number in emphasis
            if not piece.is_used:
                self._report_unpaired(piece)
                styled.append(_Styled(is_strong, is_emphasis, None, piece.text))
        return tuple(_merged(styled))

    def _token(self, match: re.Match[str], base: int, href: str | None) -> None:
        text = match[0]
        index = base + match.start()
        match match.lastgroup:
            case "escape":
                self._add(text[1], href)
            case "image":
                self._image(text)
            case "link":
                self._link(text, index)
            case "address":
                self._add(text[1:-1], text[1:-1])
            case "entity":
                self._add(_decoded(text), href)
            case "html":
                message = Words(
                    "HTML is shown as written: {text}. Take it out or use **bold**.", text=text[:60]
                )
                self.problems.append(Problem("raw-html", message, index))
                self._add(text, href)
            case _:
                self._marks(match, index)

    def _image(self, text: str) -> None:
        # A linked image is [![alt](src)](target); only the picture inside is kept.
        if parts := _PARTS.match(text.removeprefix("[")):
            self.images.append(Image(_decoded_all(parts["target"]), _decoded_all(parts["label"])))

    def _link(self, text: str, index: int) -> None:
        style = text[text.rfind("{") :] if text.endswith("}") else ""
        if styled := _STYLED.fullmatch(text):
            self._styled(styled["label"], style, base=index + 1)
            return
        parts = _PARTS.match(text)
        if not parts:
            self._add(text, None)
            return
        target = _decoded_all(parts["target"])
        if not is_web_address(target):
            message = Words(
                "The link to “{target}” was dropped: only http and https links are kept.",
                target=target[:80],
            )
            self.problems.append(Problem("link-bad", message, index))
        href = target if is_web_address(target) else None
        self._styled(parts["label"], style, base=index + 1, href=href)

    def _styled(self, label: str, style: str, *, base: int, href: str | None = None) -> None:
        first = len(self.pieces)
        self.read(label, base=base, href=href)
        for number, piece in enumerate(self.pieces[first:], start=first):
            if isinstance(piece, _Text):
                self.pieces[number] = piece._replace(
                    is_strong="b" in style, is_emphasis="i" in style
                )

    def _marks(self, match: re.Match[str], index: int) -> None:
        text, run = match.string, match[0]
        before = text[match.start() - 1 : match.start()]
        after = text[match.end() : match.end() + 1]
        opens = bool(after) and not after.isspace()
        closes = bool(before) and not before.isspace()
        if run[0] == "_" or len(run) == 1:
            opens = opens and not _is_ascii_word(before)
            closes = closes and not _is_ascii_word(after)
        halves = [run] if len(run) != 4 else [run[:2], run[2:]]
        for half in halves:
            self.pieces.append(_Mark(half, index, opens=opens, closes=closes))

    def _paired(self, wanted: Callable[[_Mark], bool]) -> set[int]:
        pairs: set[int] = set()
        opened: dict[str, int] = {}
        for number, mark in enumerate(self.pieces):
            if isinstance(mark, _Text) or not wanted(mark):
                continue
            character = mark.text[0]
            if mark.closes and character in opened:
                first = opened.pop(character)
                pairs |= {first, number}
                mark.is_used = True
                self._use(first)
            elif mark.opens and character not in opened:
                opened[character] = number
        return pairs

    def _use(self, number: int) -> None:
        mark = self.pieces[number]
        if isinstance(mark, _Mark):
            mark.is_used = True

    def _report_unpaired(self, mark: _Mark) -> None:
        if mark.text == "**":
            message = Words(
                "A ** without its partner is shown as written. Add the other or delete it."
            )
            self.problems.append(Problem("raw-markup", message, mark.index))

    def _add(self, text: str, href: str | None) -> None:
        if text:
            self.pieces.append(_Text(text, href))


def _merged(styled: Iterable[_Styled]) -> Iterator[Span]:
    """Neighbours in the same style as one span."""
    for style, run in itertools.groupby(styled, key=lambda piece: piece[:3]):
        strong, emphasis, href = style
        text = "".join(piece.text for piece in run)
        yield Span(text, strong=strong, emphasis=emphasis, href=href)


def _decoded(entity: str) -> str:
    return _UNSEEN.sub("", html.unescape(entity).replace("\u00a0", " "))


def _decoded_all(text: str) -> str:
    return _decoded(text).strip()


def is_web_address(target: str) -> bool:
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_ascii_word(character: str) -> bool:
    return character.isascii() and character.isalnum()

"""Moves the style sheet into `style` attributes; the only module that knows premailer."""

import logging
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any, Self, TypeAlias

import cssutils
import premailer
import premailer.cache

from newsletter.errors import RenderError
from newsletter.words import Words

DOCTYPE = "<!DOCTYPE html>"

# What loads a style from elsewhere, or makes every address of the page lead elsewhere.
_FOREIGN_TAG = re.compile(r"<(?:link|base)\b", re.IGNORECASE)
_FOREIGN_STYLE = re.compile(r"@import|expression\(|url\(", re.IGNORECASE)
_STYLE = re.compile(r"<style\b.*?</style>", re.IGNORECASE | re.DOTALL)
# One tag, or what is no text: a comment, a declaration, a style sheet.
_TAG = re.compile(
    r"""<!--.*?--> | <![^>]*> | <style\b.*?</style>
      | </?[a-z][^>"']*(?:"[^"]*"[^>"']*|'[^']*'[^>"']*)*>""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([a-z-]+)=("[^"]*"|'[^']*')""")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _fetch_nothing(url: str) -> tuple[None, bytes]:
    return None, b""


# cssutils follows @import by itself, to any http: or file: address, whatever premailer is told.
cssutils.util._defaultFetcher = _fetch_nothing
cssutils.ser.prefs.minimizeColorHash = False  # Word's engine wants six digits

_complaints_log = logging.getLogger(f"{__name__}.cssutils")
_complaints_log.propagate = False  # what it hears becomes an error of our own
cssutils.log.setLog(_complaints_log)

_one_at_a_time = threading.Lock()  # cssutils keeps its serializer and its log in globals

_Rules: TypeAlias = tuple[list[Any], list[Any]]
_MOST_SHEETS = 64
_rules: dict[tuple[str, int], _Rules] = {}


def inline(html: str) -> str:
    """The page with its style sheet inlined; blocks marked `data-premailer="ignore"` stay.

    Raises `RenderError` if the page would load anything, if a declaration is not understood, or if
    any of the visible text or any anchor was lost.
    """
    _refuse(html)
    with _one_at_a_time:
        inlined, complaints = _transform(html)
    if complaints:
        # A sheet out of the cache would not complain again.
        premailer.cache.cache.clear()
        _rules.clear()
        raise RenderError("the style sheet is not understood: {complaint}", complaint=complaints[0])
    _assert_complete(html, inlined)
    return inlined


def _refuse(html: str) -> None:
    if not html.startswith(DOCTYPE):
        raise RenderError("the page must begin with {doctype}", doctype=DOCTYPE)
    if found := _UNPRINTABLE.search(html):
        near = html[max(0, found.start() - 30) : found.start()]
        raise RenderError(
            "the text holds the character U+{code:04X}, after {near!r}; remove it",
            code=ord(found[0]),
            near=near,
        )
    styles = " ".join(_STYLE.findall(html))
    if found := _FOREIGN_TAG.search(html) or _FOREIGN_STYLE.search(styles):
        raise RenderError("the page may not load anything, but holds {found}", found=found[0])


def _transform(html: str) -> tuple[str, list[str]]:
    complaints = _Complaints()
    _complaints_log.addHandler(complaints)
    try:
        inlined: str = _Inliner(
            html,
            allow_network=False,
            allow_loading_external_files=False,
            strip_important=False,
            keep_style_tags=False,
            remove_classes=False,
            disable_link_rewrites=True,
            disable_basic_attributes=["width", "height", "align", "valign"],
            align_floating_images=False,
            disable_validation=True,
            cache_css_parsing=True,
            cssutils_logging_level=logging.WARNING,
        ).transform(pretty_print=False)
    finally:
        _complaints_log.removeHandler(complaints)
    return inlined, complaints.messages


class _Inliner(premailer.Premailer):  # type: ignore[misc]  # the library has no types
    """Reads a style sheet once; the rules are the same for every letter of a list."""

    def _parse_style_rules(self, css_body: str, ruleset_index: int) -> _Rules:
        key = css_body, ruleset_index
        if key not in _rules:
            if len(_rules) >= _MOST_SHEETS:
                _rules.clear()
            _rules[key] = super()._parse_style_rules(css_body, ruleset_index)
        return _rules[key]


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _assert_complete(before: str, after: str) -> None:
    wanted, got = _Content.of(before), _Content.of(after)
    if not after.startswith(DOCTYPE):
        message = Words("the inliner lost the doctype")
    elif got.anchors != wanted.anchors:
        message = Words(
            "the inliner kept {count} of {wanted} anchors",
            count=len(got.anchors),
            wanted=len(wanted.anchors),
        )
    elif got.text != wanted.text:
        message = Words(
            "the inliner kept {count} of {wanted} characters",
            count=len(got.text),
            wanted=len(wanted.text),
        )
    else:
        return
    raise RenderError(message)


@dataclass(frozen=True, slots=True)
class _Content:
    """The text of a page without its blanks, and the ids and addresses in it, in order.

    Read by signs alone: a parser, be it lxml's, that lost something would lose it in both pages.
    """

    text: str
    anchors: Sequence[str]

    @classmethod
    def of(cls, html: str) -> Self:
        # A line's end in the place of each tag, so that no "&" meets a ";" behind it.
        text = unescape(_TAG.sub("\n", html))
        attributes = _ATTRIBUTE.findall("\n".join(_TAG.findall(html)))
        return cls(
            "".join(text.split()),
            [unescape(value[1:-1]) for name, value in attributes if name in ("id", "href")],
        )

"""Reads what a web page says of itself: its headline, its summary, and whose page it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from lxml import html
from lxml.etree import LxmlError

from newsletter.compose.feed_format import LONGEST_SUMMARY
from newsletter.compose.plain_words import line_of
from newsletter.errors import InputError
from newsletter.models.story_inbox import LONGEST_SOURCE, LONGEST_TITLE

KINDS = ("text/html", "application/xhtml+xml")

_MOST_READ = 2 * 1024 * 1024
_TITLES = ("og:title", "twitter:title")
_SUMMARIES = ("og:description", "twitter:description", "description")
_FEEDS = ("application/rss+xml", "application/atom+xml", "application/feed+json")


@dataclass(frozen=True, slots=True)
class PageFacts:
    """`source` is the site's name, else its host. `feeds` are the addresses of its feeds."""

    title: str
    summary: str
    source: str
    published_at: datetime | None
    feeds: tuple[str, ...]


def read_page(body: bytes, *, url: str, content_type: str) -> PageFacts:
    """Raises `InputError` for a page without a title."""
    try:
        root = html.document_fromstring(
            body[:_MOST_READ], parser=html.HTMLParser(encoding=_encoding(body, content_type))
        )
    except (LxmlError, ValueError, LookupError) as error:
        raise InputError("The page cannot be read as HTML.") from error
    said = _said(root)
    title = _first(said, _TITLES) or str(root.findtext(".//title") or "")
    if not title.strip():
        raise InputError("The page has no title.")
    return PageFacts(
        title=line_of(title, longest=LONGEST_TITLE),
        summary=line_of(_first(said, _SUMMARIES), longest=LONGEST_SUMMARY),
        source=line_of(said.get("og:site_name", "") or host_of(url), longest=LONGEST_SOURCE),
        published_at=_moment(said.get("article:published_time", "")),
        feeds=tuple(_feeds(root, url)),
    )


def host_of(url: str) -> str:
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _encoding(body: bytes, content_type: str) -> str | None:
    """What the server says, else UTF-8 if it is that; None: what the page itself says."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip():
            return value.strip().strip("\"'")
    try:
        body[:_MOST_READ].decode()
    except UnicodeDecodeError as error:
        is_cut = error.start > _MOST_READ - 4
        return "utf-8" if is_cut else None
    return "utf-8"


def _said(root: html.HtmlElement) -> dict[str, str]:
    """What its meta elements say, the first of each name."""
    said: dict[str, str] = {}
    for meta in root.iterfind(".//meta"):
        name = meta.get("property") or meta.get("name")
        if name and meta.get("content"):
            said.setdefault(name.strip().lower(), meta.get("content"))
    return said


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if said.get(name, "").strip()), "")


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _feeds(root: html.HtmlElement, url: str) -> list[str]:
    return [
        urljoin(url, link.get("href"))
        for link in root.iterfind(".//link")
        if (link.get("type") or "").strip().lower() in _FEEDS and link.get("href")
    ]

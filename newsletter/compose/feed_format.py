"""Reads the text of a feed: RSS, Atom or JSON Feed, whoever wrote it and however badly."""

import calendar
import io
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser  # type: ignore[import-untyped]

from newsletter.compose.plain_words import line_of, line_of_html
from newsletter.errors import InputError
from newsletter.models.story_inbox import (
    LONGEST_SOURCE,
    LONGEST_TITLE,
    LONGEST_URL,
)
from newsletter.words import Words

KINDS = (
    "application/rss+xml",
    "application/atom+xml",
    "application/feed+json",
    "application/json",
    "application/xml",
    "application/rdf+xml",
    "text/xml",
    "text/plain",
)
MOST_ENTRIES = 200
LONGEST_SUMMARY = 600

_JSON_FEED = "https://jsonfeed.org/version/"
_NO_FEED = Words("What stands there is no feed; choose the address of an RSS, Atom or JSON feed.")


@dataclass(frozen=True, slots=True)
class Entry:
    """`published_at` is None where the feed does not tell it."""

    url: str
    title: str
    summary: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class FeedText:
    """`entries` are in the feed's order."""

    name: str
    entries: tuple[Entry, ...]


def read_feed(body: bytes, *, url: str, content_type: str) -> FeedText:
    """`url` is where it was found. Raises `InputError` for what is no feed."""
    if body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return _read_json(body, url)
    # No feed needs a definition of its own; entities that hold each other fill any memory (S-22).
    if b"<!ENTITY" in body.replace(b"\0", b"").upper():
        raise InputError("The feed defines entities, which we do not read.")
    return _read_xml(body, url, content_type)


def _read_xml(body: bytes, url: str, content_type: str) -> FeedText:
    # A file object: a string would be taken for the name of a file or page, and opened.
    read = feedparser.parse(
        io.BytesIO(body),
        response_headers={"content-type": content_type, "content-location": url},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not read.get("version") and not read.entries:
        raise InputError(_NO_FEED)
    entries = (_of_xml(entry, url) for entry in read.entries[:MOST_ENTRIES])
    name = _text(read.feed, "title", longest=LONGEST_SOURCE)
    return FeedText(name, tuple(filter(None, entries)))


def _of_xml(entry: Mapping[str, Any], feed_url: str) -> Entry | None:
    link = entry.get("feedburner_origlink") or entry.get("link") or ""
    title = _text(entry, "title", longest=LONGEST_TITLE)
    summary = _text(entry, "summary", longest=LONGEST_SUMMARY)
    said = entry.get("published_parsed") or entry.get("updated_parsed")
    return _entry(str(link), title, summary, _moment(said), feed_url)


def _text(holder: Mapping[str, Any], name: str, *, longest: int) -> str:
    value = str(holder.get(name) or "")
    kind = (holder.get(f"{name}_detail") or {}).get("type", "text/html")
    return (line_of if kind == "text/plain" else line_of_html)(value, longest=longest)


def _moment(parts: time.struct_time | None) -> datetime | None:
    if parts is None:
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(parts), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _read_json(body: bytes, url: str) -> FeedText:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(_NO_FEED) from error
    version = document.get("version")
    if not isinstance(version, str) or not version.startswith(_JSON_FEED):
        raise InputError(_NO_FEED)
    name = line_of(_string(document, "title"), longest=LONGEST_SOURCE)
    return FeedText(name, tuple(_of_json(document.get("items"), url)))


def _of_json(items: object, feed_url: str) -> Iterator[Entry]:
    for item in items[:MOST_ENTRIES] if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        found = _entry(
            _string(item, "url") or _string(item, "external_url"),
            line_of(_string(item, "title"), longest=LONGEST_TITLE),
            _summary(item),
            _stamp(_string(item, "date_published")),
            feed_url,
        )
        if found is not None:
            yield found


def _summary(item: Mapping[str, Any]) -> str:
    plain = _string(item, "summary") or _string(item, "content_text")
    if plain:
        return line_of(plain, longest=LONGEST_SUMMARY)
    return line_of_html(_string(item, "content_html"), longest=LONGEST_SUMMARY)


def _string(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def _stamp(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _entry(
    link: str, title: str, summary: str, published_at: datetime | None, feed_url: str
) -> Entry | None:
    """None for what has no headline or leads to no page."""
    try:
        url = urljoin(feed_url, link.strip())
        is_page = urlsplit(url).scheme in {"http", "https"} and bool(urlsplit(url).hostname)
    except ValueError:
        return None
    if not link or not is_page or not title or len(url) > LONGEST_URL:
        return None
    return Entry(url, title, "" if summary == title else summary, published_at)

"""A list's editions as feeds: Atom (RFC 4287) and JSON Feed 1.1."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree import ElementTree

ATOM = "http://www.w3.org/2005/Atom"
JSON_FEED = "https://jsonfeed.org/version/1.1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One edition; `content` is HTML, and `url` is what readers of feeds know it by."""

    url: str
    title: str
    summary: str
    content: str
    published_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Feed:
    """`entries` the newest first; `url` is the page that they are listed on."""

    url: str
    own_url: str
    title: str
    subtitle: str
    language: str
    author: str
    entries: Sequence[Entry]


def atom(feed: Feed) -> bytes:
    root = ElementTree.Element("feed", {"xmlns": ATOM, "xml:lang": feed.language})
    _add(root, "id", feed.url)
    _add(root, "title", feed.title)
    if feed.subtitle:
        _add(root, "subtitle", feed.subtitle)
    _add(root, "link", rel="alternate", type="text/html", href=feed.url)
    _add(root, "link", rel="self", type="application/atom+xml", href=feed.own_url)
    # RFC 4287 section 4.1.1 asks for a date also where there is nothing yet.
    newest = max(
        (each.updated_at for each in feed.entries), default=datetime(1970, 1, 1, tzinfo=UTC)
    )
    _add(root, "updated", _instant(newest))
    _add(ElementTree.SubElement(root, "author"), "name", feed.author)
    for each in feed.entries:
        _add_entry(root, each)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def json_feed(feed: Feed) -> bytes:
    document = {
        "version": JSON_FEED,
        "title": feed.title,
        "home_page_url": feed.url,
        "feed_url": feed.own_url,
        "description": feed.subtitle,
        "language": feed.language,
        "authors": [{"name": feed.author}],
        "items": [
            {
                "id": each.url,
                "url": each.url,
                "title": each.title,
                "summary": each.summary,
                "content_html": each.content,
                "date_published": _instant(each.published_at),
                "date_modified": _instant(each.updated_at),
            }
            for each in feed.entries
        ],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _add_entry(root: ElementTree.Element, entry: Entry) -> None:
    element = ElementTree.SubElement(root, "entry")
    _add(element, "id", entry.url)
    _add(element, "title", entry.title)
    _add(element, "link", rel="alternate", type="text/html", href=entry.url)
    _add(element, "published", _instant(entry.published_at))
    _add(element, "updated", _instant(entry.updated_at))
    _add(element, "summary", entry.summary)
    _add(element, "content", entry.content, type="html")


def _add(parent: ElementTree.Element, name: str, text: str = "", /, **attributes: str) -> None:
    element = ElementTree.SubElement(parent, name, attributes)
    element.text = text or None


def _instant(moment: datetime) -> str:
    """RFC 3339."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

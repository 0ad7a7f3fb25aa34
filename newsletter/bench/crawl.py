"""Reads all of the public archive, as a stranger finds it, and looks for what belongs to one reader."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from newsletter.bench.site import Browser
from newsletter.errors import TokenError
from newsletter.tokens import Purpose, Tokens

_LINK = re.compile(rb'href="([^"]+)"|"url": ?"([^"]+)"')
_PIECE = re.compile(r"[A-Za-z0-9_-]{36,}")
_RETURN_PATH = "b-"


@dataclass(frozen=True, slots=True)
class Crawl:
    pages: int
    tokens: tuple[str, ...]
    """Addresses of pages that hold a reader's token."""
    broken: tuple[str, ...]
    """Addresses that something links to and that do not answer."""


def crawl_archive(browser: Browser, starts: Iterable[str], tokens: Tokens) -> Crawl:
    waiting = deque(starts)
    seen = set(waiting)
    with_token, broken = [], []
    while waiting:
        path = waiting.popleft()
        answer = browser.get(path)
        if answer.status != 200:
            broken.append(path)
        if any(True for _ in readers_tokens(answer.body.decode("utf-8", "replace"), tokens)):
            with_token.append(path)
        found = dict.fromkeys(each for each in _links(answer.body) if each not in seen)
        seen.update(found)
        waiting.extend(found)
    return Crawl(len(seen), tuple(with_token), tuple(broken))


def readers_tokens(text: str, tokens: Tokens) -> Iterator[str]:
    """Whatever in a text opens as a token of ours, of any kind that belongs to somebody."""
    for piece in set(_PIECE.findall(text)):
        if any(_opens(read, piece.removeprefix(_RETURN_PATH)) for read in _readings(tokens)):
            yield piece


def _readings(tokens: Tokens) -> Iterator[Callable[[str], object]]:
    yield from (tokens.read_unsubscribe, tokens.read_preferences, tokens.read_return_path)
    yield from (tokens.read_undo, tokens.read_move)
    for purpose in (Purpose.OPEN, Purpose.CLICK, Purpose.VIEW, Purpose.MESSAGE_ID):
        yield partial(tokens.read_delivery, purpose)
    for purpose in (Purpose.SETTINGS, Purpose.DATA, Purpose.ERASE):
        yield partial(tokens.read_of_person, purpose)


def _opens(read: Callable[[str], object], piece: str) -> bool:
    try:
        read(piece)
    except TokenError:
        return False
    return True


def _links(body: bytes) -> Iterator[str]:
    """What of the archive a page leads to, without the host: it is the one that was asked."""
    for html, json in _LINK.findall(body):
        parts = urlsplit((html or json).decode("utf-8", "replace").replace("&amp;", "&"))
        if parts.path.startswith("/archive/"):
            yield f"{parts.path}?{parts.query}" if parts.query else parts.path

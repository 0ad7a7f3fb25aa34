"""An edition as one reader would see it, with nothing in it that counts, works or belongs to anybody."""

import datetime
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape

from newsletter.compose.briefing import Briefing, to_json
from newsletter.render.compile import compile_edition
from newsletter.render.compiled import Compiled
from newsletter.render.cut import (
    ADDRESS,
    GREETING,
    JOINED,
    MAIL_END,
    MAIL_ONLY,
    OPEN,
    PREFERENCES,
    UNSUBSCRIBE,
    Cut,
    Slot,
    link_number,
)
from newsletter.render.masthead import Masthead
from newsletter.render.recipient import printable

MOST_KEPT = 64
"""Compiled drafts in a process; one takes about as much memory as the mail is long."""

_NIGHT = "@media (prefers-color-scheme: dark)"
_SCHEMES = ("color-scheme: light dark", "supported-color-schemes: light dark")
_NO_LINK = '#" target="_self'
"""In place of an address, and on to the quote that closes it."""


@dataclass(frozen=True, slots=True)
class Persona:
    """A reader, real or made up. `hidden` is as `Compiled.without` takes it."""

    name: str
    address: str
    joined_on: datetime.date | None = None
    hidden: int = 0


def compile_draft(
    briefing: Briefing, masthead: Masthead, *, public_id: str, subject: str, preheader: str
) -> Compiled:
    """As `compile_edition`, remembered by its content: a preview is asked for again and again."""
    seen = [to_json(briefing), asdict(masthead), public_id, subject, preheader]
    written = json.dumps(seen, ensure_ascii=False, sort_keys=True, default=str)
    key = hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return _drafts.get(
        key,
        lambda: compile_edition(
            briefing,
            masthead,
            edition_id=0,
            public_id=public_id,
            subject=subject,
            preheader=preheader,
        ),
    )


def preview_html(compiled: Compiled, persona: Persona, *, is_dark: bool) -> str:
    """The mail's HTML; links lead straight to where they lead, those of its reader nowhere."""
    shown = compiled.without(persona.hidden)
    urls = {link.number: escape(link.url) for link in compiled.links}
    page = _filled(shown.shown_html, shown, persona, urls, quote=escape, nowhere=_NO_LINK)
    page = page.replace("<head>", '<head>\n<base target="_blank">', 1)
    page = page.replace(_NIGHT, "@media all" if is_dark else "@media not all")
    scheme = "dark" if is_dark else "light"
    for both in _SCHEMES:
        page = page.replace(f" {both};", f" {both.replace('light dark', scheme)};")
    return page


def preview_text(compiled: Compiled, persona: Persona) -> str:
    """The mail's plain text."""
    shown = compiled.without(persona.hidden)
    urls = {link.number: link.url for link in compiled.links}
    return _filled(shown.shown_text, shown, persona, urls, quote=str, nowhere="(the reader's own)")


def _filled(
    cut: Cut,
    compiled: Compiled,
    persona: Persona,
    urls: dict[int, str],
    *,
    quote: Callable[[str], str],
    nowhere: str,
) -> str:
    words = compiled.words
    base_url = compiled.masthead.base_url
    own = {UNSUBSCRIBE: f"{base_url}/u/", PREFERENCES: f"{base_url}/p/"}
    theirs = {
        GREETING: quote(words.greeting_to(printable(persona.name))),
        ADDRESS: quote(persona.address),
        JOINED: quote(words.joined_on(persona.joined_on)),
    }
    parts: list[list[str]] = [[]]
    counts = False
    for text, slot in cut.pieces():
        parts[-1].append(text.removesuffix(own.get(slot, "")) if slot else text)
        if slot is None:
            continue
        if slot in (MAIL_ONLY, MAIL_END):
            if counts:
                parts.pop()
            parts.append([])
            counts = False
        elif slot == OPEN:
            counts = True
        else:
            parts[-1].append(_value(slot, urls, theirs, nowhere))
    return "".join(text for part in parts for text in part)


def _value(slot: Slot, urls: dict[int, str], theirs: dict[Slot, str], nowhere: str) -> str:
    number = link_number(slot)
    if number is not None:
        return urls[number]
    return theirs.get(slot, nowhere)


class _Drafts:
    """The drafts that were compiled last; whoever asks for one that is being compiled waits for it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Compiled] = OrderedDict()
        self._turn = threading.Lock()

    def get(self, key: bytes, make: Callable[[], Compiled]) -> Compiled:
        with self._turn:
            if key not in self._kept:
                self._kept[key] = make()
                if len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]


_drafts = _Drafts()

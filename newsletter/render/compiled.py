"""The compiled edition: all that every reader's message and the web page are put together from."""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from html import escape
from typing import Any

from newsletter.errors import RenderError
from newsletter.models import Tracking
from newsletter.render.cut import (
    ADDRESS,
    CLICK,
    GREETING,
    JOINED,
    MAIL_END,
    MAIL_ONLY,
    OPEN,
    UNSUBSCRIBE,
    Cut,
    Slot,
    link_number,
)
from newsletter.render.letter import Link
from newsletter.render.masthead import Masthead
from newsletter.render.words import Words, words_for

FORMAT = 1

# As long as what a reader's message will have in these places, for sizes before there is one.
_TYPICAL = {
    GREETING: "x" * 24,
    ADDRESS: "x" * 28,
    JOINED: "x" * 20,
    OPEN: "x" * 36,
    CLICK: "x" * 36,
    UNSUBSCRIBE: "x" * 42,
}


@dataclass(frozen=True)
class Compiled:
    """One edition of one list, inlined and cut; stored with the revision that it was made of.

    `html` and `text` hold a slot per link and per reader's word. It depends on no process: any
    worker with the same secrets makes the same messages of it.
    """

    edition_id: int
    public_id: str
    subject: str
    preheader: str
    language: str
    masthead: Masthead
    boundary: str
    links: tuple[Link, ...]
    html: Cut
    text: Cut

    @property
    def words(self) -> Words:
        return words_for(self.language, house=self.masthead.language)

    @cached_property
    def mail_html(self) -> Cut:
        """The HTML with its links tracked: their slots are the click token alone.

        Where the list tracks nothing, each leads straight to where it leads.
        """
        if self.masthead.is_tracked:
            return _tracked(self.html, self.masthead.base_url)
        return _plain(self.html, {link.number: escape(link.url) for link in self.links})

    @cached_property
    def mail_text(self) -> Cut:
        if self.masthead.is_tracked:
            return _tracked(self.text, self.masthead.base_url)
        return _plain(self.text, {link.number: link.url for link in self.links})

    @cached_property
    def html_bytes(self) -> int:
        """The HTML's size in a typical message, before transfer encoding."""
        return len(self.mail_html.fill(_TYPICAL.__getitem__).encode())

    @cached_property
    def text_bytes(self) -> int:
        return len(self.mail_text.fill(_TYPICAL.__getitem__).encode())

    def to_bytes(self) -> bytes:
        form = {
            "format": FORMAT,
            "edition_id": self.edition_id,
            "public_id": self.public_id,
            "subject": self.subject,
            "preheader": self.preheader,
            "language": self.language,
            "masthead": asdict(self.masthead),
            "boundary": self.boundary,
            "links": [asdict(link) for link in self.links],
            "html": asdict(self.html),
            "text": asdict(self.text),
        }
        return zlib.compress(json.dumps(form, ensure_ascii=False).encode(), level=6)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Compiled":
        """Raises `RenderError` for a form that this version does not know: compile it again."""
        try:
            form = json.loads(zlib.decompress(stored))
        except (zlib.error, ValueError) as error:
            message = "the compiled edition is damaged; compile it again"
            raise RenderError(message) from error
        if form.get("format") != FORMAT:
            message = f"compiled in format {form.get('format')}, not {FORMAT}; compile it again"
            raise RenderError(message)
        return cls(
            edition_id=form["edition_id"],
            public_id=form["public_id"],
            subject=form["subject"],
            preheader=form["preheader"],
            language=form["language"],
            masthead=_masthead(form["masthead"]),
            boundary=form["boundary"],
            links=tuple(Link(**link) for link in form["links"]),
            html=_cut(form["html"]),
            text=_cut(form["text"]),
        )


def edition_page(compiled: Compiled) -> str:
    """The HTML of the edition's public web page: nobody's greeting, no tracking, plain links."""
    urls = {link.number: escape(link.url) for link in compiled.links}
    neutral = {GREETING: escape(compiled.words.greeting_nobody)}
    page, is_shown = [], True
    for text, slot in compiled.html.pieces():
        if is_shown:
            page.append(text)
        if slot in (MAIL_ONLY, MAIL_END):
            is_shown = slot == MAIL_END
        elif slot is not None and is_shown:
            number = link_number(slot)
            page.append(neutral[slot] if number is None else urls[number])
    return "".join(page)


def _tracked(cut: Cut, base_url: str) -> Cut:
    pieces: list[tuple[str, Slot | None]] = []
    for text, slot in cut.pieces():
        number = link_number(slot) if slot else None
        if number is not None:
            pieces += (f"{text}{base_url}/c/", CLICK), (f"/{number}", None)
        elif slot in (MAIL_ONLY, MAIL_END):
            pieces.append((text, None))
        else:
            pieces.append((text, slot))
    return Cut.joined(pieces)


def _plain(cut: Cut, urls: Mapping[int, str]) -> Cut:
    pieces: list[tuple[str, Slot | None]] = []
    for text, slot in cut.pieces():
        number = link_number(slot) if slot else None
        if number is not None:
            pieces.append((text + urls[number], None))
        else:
            pieces.append((text, None if slot in (MAIL_ONLY, MAIL_END) else slot))
    return Cut.joined(pieces)


def _masthead(form: Mapping[str, Any]) -> Masthead:
    # What was compiled before lists had a choice was tracked.
    return Masthead(**{**form, "tracking": Tracking(form.get("tracking", Tracking.FULL))})


def _cut(form: Mapping[str, Any]) -> Cut:
    return Cut(tuple(form["statics"]), tuple(map(Slot, form["slots"])))

"""The compiled edition: all that every reader's message and the web page are put together from."""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from html import escape
from typing import Any

from newsletter.compose.preheader import preheader_of_points
from newsletter.errors import RenderError
from newsletter.models import Tracking
from newsletter.render.cut import (
    ADDRESS,
    BETWEEN,
    CLICK,
    GREETING,
    JOINED,
    MAIL_END,
    MAIL_ONLY,
    OPEN,
    PART_END,
    POINT,
    PREFERENCES,
    PREHEADER,
    UNSUBSCRIBE,
    Cut,
    Slot,
    link_number,
    part_sections,
)
from newsletter.render.letter import Link
from newsletter.render.masthead import Masthead
from newsletter.render.theme import PLAIN, theme_from
from newsletter.render.words import Words, words_for

FORMAT = 3
_READABLE = (1, 2, FORMAT)
"""The first has no marks around its sections, so that nobody can hide one; the second no theme."""

_BODY = re.compile(r"<body\b[^>]*>")

# Invisible, and as wide as an inbox's preview: what follows in the mail must not be shown there.
_PREVIEW_LENGTH = 150
_INVISIBLE = "&#847;&zwnj;&nbsp;"

# As long as what a reader's message will have in these places, for sizes before there is one.
_TYPICAL = {
    GREETING: "x" * 24,
    ADDRESS: "x" * 28,
    JOINED: "x" * 20,
    OPEN: "x" * 36,
    CLICK: "x" * 36,
    UNSUBSCRIBE: "x" * 42,
    PREFERENCES: "x" * 42,
}


@dataclass(frozen=True, slots=True)
class Announced:
    """A key point, and the place of the section that its story stands in; None: of no known one."""

    text: str
    section: int | None


@dataclass(frozen=True)
class Compiled:
    """One edition of one list, inlined and cut; stored with the revision that it was made of.

    `html` and `text` hold a slot per link and per reader's word, and marks around what belongs to
    a section. It depends on no process: any worker with the same secrets makes the same messages of
    it.
    """

    edition_id: int
    public_id: str
    subject: str
    preheader: str
    language: str
    masthead: Masthead
    boundary: str
    links: tuple[Link, ...]
    points: tuple[Announced, ...]
    html: Cut
    text: Cut
    hidden: int = 0
    """What is left out: a bit for each section, the first one's is 1. Never stored."""

    def without(self, hidden: int) -> "Compiled":
        """The same edition for readers who hide these sections; its links keep their numbers."""
        return replace(self, hidden=hidden, preheader=self._preheader_without(hidden))

    @cached_property
    def shown_html(self) -> Cut:
        """Without marks: as the readers of this variant see it."""
        return _shown(self.html, self.hidden, point=str, preheader=padded(self.preheader))

    @cached_property
    def shown_text(self) -> Cut:
        return _shown(self.text, self.hidden, point="{:>2}".format, preheader="")

    @property
    def words(self) -> Words:
        return words_for(self.language, house=self.masthead.language)

    @cached_property
    def mail_html(self) -> Cut:
        """The HTML with its links tracked: their slots are the click token alone.

        Where the list tracks nothing, each leads straight to where it leads.
        """
        if self.masthead.is_tracked:
            return _tracked(self.shown_html, self.masthead.base_url)
        return _plain(self.shown_html, {link.number: escape(link.url) for link in self.links})

    @cached_property
    def mail_text(self) -> Cut:
        if self.masthead.is_tracked:
            return _tracked(self.shown_text, self.masthead.base_url)
        return _plain(self.shown_text, {link.number: link.url for link in self.links})

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
            "points": [asdict(point) for point in self.points],
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
            raise RenderError("the compiled edition is damaged; compile it again") from error
        if form.get("format") not in _READABLE:
            raise RenderError(
                "compiled in format {given}, not {wanted}; compile it again",
                given=form.get("format"),
                wanted=FORMAT,
            )
        return cls(
            edition_id=form["edition_id"],
            public_id=form["public_id"],
            subject=form["subject"],
            preheader=form["preheader"],
            language=form["language"],
            masthead=_masthead(form["masthead"]),
            boundary=form["boundary"],
            links=tuple(Link(**link) for link in form["links"]),
            points=tuple(Announced(**point) for point in form.get("points", ())),
            html=_cut(form["html"]),
            text=_cut(form["text"]),
        )

    def _preheader_without(self, hidden: int) -> str:
        """One that an editor wrote stays, as the subject does."""
        shown = [point.text for point in self.points if not _is_gone(point.section, hidden)]
        every = [point.text for point in self.points]
        if shown == every or self.preheader != preheader_of_points(every):
            return self.preheader
        return preheader_of_points(shown)


def padded(preheader: str) -> str:
    """As HTML, long enough that an inbox shows nothing behind it."""
    missing = max(0, _PREVIEW_LENGTH - len(preheader))
    return escape(preheader) + _INVISIBLE * missing


def edition_page(compiled: Compiled, *, head: str = "", above: str = "", below: str = "") -> str:
    """The HTML of the edition's public web page: nobody's greeting, no tracking, plain links.

    `head` is HTML for the page's head, `above` and `below` stand around the letter.
    """
    urls = {link.number: escape(link.url) for link in compiled.links}
    neutral = {GREETING: escape(compiled.words.greeting_nobody)}
    page, is_shown = [], True
    for text, slot in compiled.shown_html.pieces():
        if is_shown:
            page.append(text)
        if slot in (MAIL_ONLY, MAIL_END):
            is_shown = slot == MAIL_END
        elif slot is not None and is_shown:
            number = link_number(slot)
            page.append(neutral[slot] if number is None else urls[number])
    return _framed("".join(page), head=head, above=above, below=below)


def _framed(page: str, *, head: str, above: str, below: str) -> str:
    page = page.replace("</head>", f"{head}</head>", 1)
    page = _BODY.sub(lambda found: found[0] + above, page, count=1)
    before, end, after = page.rpartition("</body>")
    return before + below + end + after


def _shown(cut: Cut, hidden: int, *, point: Callable[[int], str], preheader: str) -> Cut:
    """`point` writes a key point's number."""
    pieces: list[tuple[str, Slot | None]] = []
    levels = [True]
    points = 0
    for text, slot in cut.pieces():
        is_shown = levels[-1]
        static, left = text, slot
        sections = part_sections(slot) if slot else None
        if sections is not None:
            levels.append(is_shown and not all(_is_gone(each, hidden) for each in sections))
            left = None
        elif slot == BETWEEN:
            levels.append(is_shown and points > 0)
            left = None
        elif slot == PART_END:
            levels.pop()
            left = None
        elif slot == POINT:
            points += is_shown
            static, left = text + point(points), None
        elif slot == PREHEADER:
            static, left = text + preheader, None
        if is_shown:
            pieces.append((static, left))
    return Cut.joined(pieces)


def _is_gone(section: int | None, hidden: int) -> bool:
    return section is not None and bool(hidden >> section & 1)


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
    # What was compiled before lists had a choice was tracked, and looked like all others.
    return Masthead(
        **{
            **form,
            "tracking": Tracking(form.get("tracking", Tracking.FULL)),
            "theme": theme_from(form["theme"]) if "theme" in form else PLAIN,
        }
    )


def _cut(form: Mapping[str, Any]) -> Cut:
    return Cut(tuple(form["statics"]), tuple(map(Slot, form["slots"])))

"""What an edition's editors work on: the briefing, its subject, and what its text held besides."""

import datetime
from dataclasses import dataclass, replace

from newsletter.compose.briefing import Briefing, to_json
from newsletter.compose.findings import Finding, SetAside
from newsletter.compose.formatting import format_briefing
from newsletter.compose.parser import parse
from newsletter.compose.preheader import preheader_of

LONGEST_SUBJECT = 255
EMPTY = Briefing(title="", sections=())


@dataclass(frozen=True, slots=True)
class DraftContent:
    """`subject` None is the title, `preheader` None the key points.

    `set_aside` is what no part of the briefing could be made of, in the text's order.
    `unread_text` is a text that holds no briefing yet; it is kept beside the structure until it
    does. `source_text` is what was pasted last, as it was.
    """

    briefing: Briefing = EMPTY
    subject: str | None = None
    preheader: str | None = None
    set_aside: tuple[SetAside, ...] = ()
    unread_text: str | None = None
    source_text: str = ""

    @property
    def subject_line(self) -> str:
        return (self.briefing.title if self.subject is None else self.subject)[:LONGEST_SUBJECT]

    @property
    def preheader_line(self) -> str:
        return preheader_of(self.briefing) if self.preheader is None else self.preheader

    @property
    def text(self) -> str:
        """What an editor writes in: the briefing as text, or the text that holds none yet."""
        if self.unread_text is not None:
            return self.unread_text
        return "" if self.is_empty else format_briefing(self.briefing)

    @property
    def is_empty(self) -> bool:
        """Nobody wrote anything yet."""
        return self.unread_text is None and self.briefing == EMPTY

    def says_the_same_as(self, other: "DraftContent") -> bool:
        """Whoever approved the one has approved the other."""
        return self._said() == other._said()

    def _said(self) -> tuple[object, ...]:
        return (
            to_json(self.briefing),
            self.subject_line,
            self.preheader_line,
            self.unread_text,
        )


@dataclass(frozen=True, slots=True)
class Written:
    """A text as it was understood; `findings` have their lines in it."""

    content: DraftContent
    findings: tuple[Finding, ...]


def write(content: DraftContent, text: str, *, today: datetime.date) -> Written:
    """`content` with `text` in place of its briefing, or beside it while it holds none.

    What was set aside stays, but for what an earlier paste held besides.
    """
    if content.is_empty and not text.strip():
        return Written(content, ())
    parsed = parse(text, today=today)
    if parsed.briefing is None:
        return Written(replace(content, unread_text=text), parsed.findings)
    content = replace(content, briefing=parsed.briefing, unread_text=None)
    if not parsed.is_formatted:
        deleted = tuple(aside for aside in content.set_aside if not aside.line)
        content = replace(content, source_text=text, set_aside=parsed.set_aside + deleted)
    return Written(content, parsed.findings)


def structure_of(content: DraftContent, *, date: datetime.date | None) -> DraftContent:
    """What one morning takes over from another: series, credits, language and the sections."""
    briefing = content.briefing
    sections = tuple(replace(section, stories=()) for section in briefing.sections)
    return DraftContent(
        replace(briefing, title="", date=date, intro=(), key_points=(), sections=sections)
    )


def copy_of(content: DraftContent, *, date: datetime.date | None) -> DraftContent:
    """All of it, stories included, for another morning."""
    return DraftContent(replace(content.briefing, date=date), content.subject, content.preheader)

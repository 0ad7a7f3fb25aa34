"""What an edition's editors work on: the briefing, its subject, and what its text held besides."""

from dataclasses import dataclass

from newsletter.compose.briefing import Briefing, to_json
from newsletter.compose.findings import SetAside
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

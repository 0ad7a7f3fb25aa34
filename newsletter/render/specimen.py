"""A short letter to try a list's dress on."""

import re
from dataclasses import replace

from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.render import cut
from newsletter.render.compile import render_html
from newsletter.render.cut import Slot, link_number
from newsletter.render.letter import write_letter
from newsletter.render.masthead import Masthead

_BRIEFING = Briefing(
    title="How this morning's letter looks",
    key_points=(KeyPoint("A key point, which leads to its story.", 1),),
    intro=((Span("The first lines of the letter, in the font of its text."),),),
    sections=(
        Section(
            "A section",
            (
                Story(
                    headline="A story's headline",
                    paragraphs=(
                        (
                            Span("What happened, in a few sentences, with "),
                            Span("a link", href="https://example.org/"),
                            Span(" to where it was reported."),
                        ),
                    ),
                    source="The Source",
                ),
            ),
        ),
    ),
)

# What stands in mails alone, and the pixel in it that tells of an opening.
_BEGIN, _OPENED, _END = "\x02", "\x01", "\x03"
_PIXEL = re.compile(f"{_BEGIN}[^{_END}]*{_OPENED}[^{_END}]*{_END}")


def specimen_page(masthead: Masthead) -> str:
    """For a browser, which needs no inlining; its links lead nowhere, it is nobody's and counts nothing."""
    briefing = replace(_BRIEFING, language=masthead.language)
    letter = write_letter(
        briefing, masthead, public_id="specimen", subject=briefing.title, preheader=""
    )
    filled = {
        cut.ADDRESS: "reader@example.org",
        cut.GREETING: letter.words.greeting_nobody,
        cut.POINT: "1",
        cut.MAIL_ONLY: _BEGIN,
        cut.OPEN: _OPENED,
        cut.MAIL_END: _END,
    }

    def fill(slot: Slot) -> str:
        return filled.get(slot, "#" if link_number(slot) is not None else "")

    page = _PIXEL.sub("", render_html(letter, fill))
    return page.replace(_BEGIN, "").replace(_END, "")

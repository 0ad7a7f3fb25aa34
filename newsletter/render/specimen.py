"""A short letter to try a list's dress on."""

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


def specimen_page(masthead: Masthead) -> str:
    """For a browser, which needs no inlining; its links lead nowhere, and it is nobody's."""
    briefing = replace(_BRIEFING, language=masthead.language)
    letter = write_letter(
        briefing, masthead, public_id="specimen", subject=briefing.title, preheader=""
    )
    filled = {
        cut.ADDRESS: "reader@example.org",
        cut.GREETING: letter.words.greeting_nobody,
        cut.POINT: "1",
    }

    def fill(slot: Slot) -> str:
        return filled.get(slot, "#" if link_number(slot) is not None else "")

    return render_html(letter, fill)

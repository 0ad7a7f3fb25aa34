"""A briefing that compiles to a message of a wanted size with a wanted number of links."""

from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.plan.editions import Content, content_of
from newsletter.render.compile import compile_edition
from newsletter.render.masthead import Masthead
from newsletter.render.message import Assembler
from newsletter.render.recipient import Recipient
from newsletter.tokens import Tokens

SENTENCE = "The bench reports that the morning went as the morning before it had gone. "
KEY_POINTS = 5
LINKS_A_STORY = 4
TOLERANCE = 0.02


def make_content(masthead: Masthead, *, size_bytes: int, links: int) -> Content:
    """As near to `size_bytes` as whole words allow, or the smallest that has so many links."""
    words = 1
    content = _content(links, words)
    for _ in range(12):
        size = _size(content, masthead)
        missing = size_bytes - size
        if abs(missing) <= TOLERANCE * size_bytes or (missing < 0 and words == 1):
            break
        words = max(1, words + round(missing / (links / LINKS_A_STORY * 2 * 6)))
        content = _content(links, words)
    return content


def _content(links: int, words: int) -> Content:
    points = min(KEY_POINTS, links // (1 + LINKS_A_STORY))
    in_stories = max(1, links - points)
    stories = -(-in_stories // LINKS_A_STORY)
    return content_of(
        Briefing(
            title="The Bench Opens for the Day",
            series="Bench Brief",
            intro=((Span("Good morning from the bench."),),),
            key_points=tuple(
                KeyPoint(f"What story {number} comes to.", number)
                for number in range(1, points + 1)
            ),
            sections=(
                Section(
                    "Work",
                    tuple(
                        _story(
                            number, words, min(LINKS_A_STORY, in_stories - number * LINKS_A_STORY)
                        )
                        for number in range(stories)
                    ),
                ),
            ),
        ),
        "",
    )


def _story(number: int, words: int, links: int) -> Story:
    """`links` counts the headline's."""
    text = " ".join((SENTENCE * (words // 14 + 1)).split()[:words])
    linked = (
        Span(f" Paper {place}.", href=f"https://paper{place}.example/{number}")
        for place in range(1, links)
    )
    return Story(
        headline=f"Story {number + 1} leaves the bench",
        paragraphs=((Span(text), *linked),),
        source="Bench Gazette",
    )


def _size(content: Content, masthead: Masthead) -> int:
    compiled = compile_edition(
        content.briefing,
        masthead,
        edition_id=1,
        public_id="bench",
        subject=content.subject,
        preheader=content.preheader,
    )
    reader = Recipient(1, masthead.list_id, parse_address("reader1@readers.example"), "Reader 1")
    return len(Assembler(compiled, Tokens(((0, "bench"),))).message(reader, date=utc_now()))

"""What the editions say: headlines put together from parts, with a source for each story."""

import random
from collections.abc import Iterator
from datetime import date

from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.seed.lists import SECTIONS

STORIES = 12

_WHO = (
    *("The council", "A ferry line", "The harbour master", "A court", "The university"),
    *(
        "The dockers' union",
        "A start-up",
        "The port's fire brigade",
        "A fishing fleet",
        "The theatre",
    ),
)
_DOES = (
    *("agrees to", "puts off", "doubts", "celebrates", "asks for", "warns of"),
    *("pays for", "takes over", "opens", "questions"),
)
_WHAT = (
    *("a new crane", "the night ferry", "cheaper berths", "the old lighthouse", "longer shifts"),
    *(
        "a flood wall",
        "the fish market",
        "a bridge for bicycles",
        "the customs hall",
        "solar roofs",
    ),
)
_SOURCES = ("Harbour Gazette", "Dock Dispatch", "Northern Wire", "The Quay", "Coast Review")


def make_briefing(name: str, day: date, *, stories: int = STORIES) -> Briefing:
    """The same for the same name and day; its title is the first headline."""
    chance = random.Random(f"{name} {day}")  # noqa: S311  nothing is kept secret by it
    told = list(_stories(chance, day, stories))
    each = -(-len(told) // len(SECTIONS))
    return Briefing(
        title=told[0].headline,
        series=name,
        credits={"producer": "Ada Abbott", "editor": "Bo Bianchi"},
        date=day,
        intro=((Span(f"Good morning. It is {day:%A}, and this is what the port talks about."),),),
        key_points=tuple(KeyPoint(f"{told[at].headline}.", at + 1) for at in range(3)),
        sections=tuple(
            Section(section, tuple(told[number * each : (number + 1) * each]))
            for number, section in enumerate(SECTIONS)
            if told[number * each : (number + 1) * each]
        ),
    )


def _stories(chance: random.Random, day: date, stories: int) -> Iterator[Story]:
    for number in range(1, stories + 1):
        headline = f"{chance.choice(_WHO)} {chance.choice(_DOES)} {chance.choice(_WHAT)}"
        more = Span("the minutes", href=f"https://source.example/{day}/{number}/minutes")
        yield Story(
            headline=headline,
            paragraphs=(
                (Span(f"{headline}, it was said on the quay yesterday. " * 3), more),
                (Span("Nobody there was surprised. The tide will be in at noon."),),
            ),
            source=chance.choice(_SOURCES),
            href=f"https://source.example/{day}/{number}",
        )

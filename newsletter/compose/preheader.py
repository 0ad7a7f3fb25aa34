"""What an inbox shows beside the subject when no editor wrote it."""

from collections.abc import Iterable

from newsletter.compose.briefing import Briefing, plain

PREHEADER_LENGTH = 110


def preheader_of(briefing: Briefing) -> str:
    """The first key points, else the intro, else the title."""
    points = preheader_of_points(point.text for point in briefing.key_points)
    return points or shortened(" ".join(map(plain, briefing.intro)) or briefing.title)


def preheader_of_points(points: Iterable[str]) -> str:
    return shortened(" · ".join(point.rstrip(".。") for point in points))


def shortened(text: str) -> str:
    """Cut at a word's end, so that no inbox shows half a word."""
    text = " ".join(text.split())
    if len(text) <= PREHEADER_LENGTH:
        return text
    cut = text[: PREHEADER_LENGTH - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:·") + "…"

"""What an inbox shows beside the subject when no editor wrote it."""

from collections.abc import Iterable

from newsletter.compose.briefing import Briefing, plain
from newsletter.compose.sentences import shortened

PREHEADER_LENGTH = 110


def preheader_of(briefing: Briefing) -> str:
    """The first key points, else the intro, else the title."""
    points = preheader_of_points(point.text for point in briefing.key_points)
    return points or shortened(
        " ".join(map(plain, briefing.intro)) or briefing.title, PREHEADER_LENGTH
    )


def preheader_of_points(points: Iterable[str]) -> str:
    return shortened(" · ".join(point.rstrip(".。") for point in points), PREHEADER_LENGTH)

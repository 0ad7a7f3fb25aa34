"""Finds in an earlier version of a briefing what its stories were there."""

from collections.abc import Callable, Sequence

from rapidfuzz import fuzz, process

from newsletter.compose.briefing import Story
from newsletter.compose.formatting import format_paragraphs

# A story whose headline was rewritten keeps most of its words; two stories of a day share fewer.
_SAME_STORY = 60

_KEYS: tuple[Callable[[Story], object], ...] = (
    lambda story: story,
    lambda story: story.headline,
    lambda story: story.href,
)


def pairs_of(old: Sequence[Story], new: Sequence[Story]) -> dict[int, int]:
    """The place in `old` of every story of `new` that was there, by its own place; both from 0 on.

    The same story comes first, then one with the same headline, then with the same link, then the
    likest.
    """
    pairs: dict[int, int] = {}
    left = dict(enumerate(old))
    for key in _KEYS:
        for place, story in enumerate(new):
            if place not in pairs and key(story):
                same = next((was for was, each in left.items() if key(each) == key(story)), None)
                if same is not None:
                    pairs[place] = same
                    del left[same]
    for place, story in enumerate(new):
        if place in pairs or not left:
            continue
        texts = {was: _text(each) for was, each in left.items()}
        best = process.extractOne(_text(story), texts, scorer=fuzz.ratio, score_cutoff=_SAME_STORY)
        if best:
            pairs[place] = best[2]
            del left[best[2]]
    return pairs


def _text(story: Story) -> str:
    return f"{story.headline}\n{format_paragraphs(story.paragraphs)}"[:2_000]

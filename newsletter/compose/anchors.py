"""The names by which addresses lead to a story of an edition: they go with it for good."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

from newsletter.compose.briefing import Story
from newsletter.compose.pairing import pairs_of

_LONGEST_BYTES = 60
_NAMELESS = "story"


@dataclass(frozen=True, slots=True)
class Anchor:
    """`number` counts the stories that an edition ever had; `name` stands behind the # of an address."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Anchored:
    """A story as it was published last, and where addresses found it."""

    story: Story
    anchor: Anchor


def anchors_of(stories: Sequence[Story], known: Sequence[Anchored] = ()) -> tuple[Anchor, ...]:
    """One for each story: what it has already, wherever it stands now, else one that nothing ever had.

    `known` are the stories that were published of this edition, those that stand now first.
    """
    pairs = pairs_of([each.story for each in known], stories)
    taken = {each.anchor.name for each in known}
    number = max((each.anchor.number for each in known), default=0)
    anchors = []
    for place, story in enumerate(stories):
        if place in pairs:
            anchors.append(known[pairs[place]].anchor)
            continue
        number += 1
        name = _free(_name(story.headline), taken)
        taken.add(name)
        anchors.append(Anchor(number, name))
    return tuple(anchors)


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name}-{number}" for number in count(2))
    return next(each for each in chain([name], numbered) if each not in taken)


def _name(headline: str) -> str:
    """Its words in lower case, joined by hyphens: letters, marks and figures of any script."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", headline).casefold())
    spaced = "".join(each if unicodedata.category(each)[0] in "LMN" else " " for each in folded)
    name = "-".join(spaced.split())
    if len(name.encode()) > _LONGEST_BYTES:
        whole_words, _, begun = _cut(name, _LONGEST_BYTES + 1).rpartition("-")
        name = whole_words or _cut(begun, _LONGEST_BYTES)
    return name or _NAMELESS


def _cut(text: str, longest_bytes: int) -> str:
    return text.encode()[:longest_bytes].decode(errors="ignore")

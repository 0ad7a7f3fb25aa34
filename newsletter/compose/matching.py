"""Finds the story that a key point announces."""

import re
from collections.abc import Sequence

from rapidfuzz import fuzz, process

from newsletter.compose.sentences import is_cjk

# Right stories of real briefings score 75 and more, wrong ones 53 at most.
THRESHOLD = 65
# More points than any briefing has are not worth comparing with every headline.
_MOST_POINTS = 30
_LONGEST = 300

_FOLDED = str.maketrans("‘’“”「」『』", '\'\'""""""')
_WORD = re.compile(r"[^\W_]+(?:['.&-][^\W_]+)*")


def stories_of(points: Sequence[str], headlines: Sequence[str]) -> list[int | None]:
    """For each point the 1-based number of its story, None where no headline is close enough."""
    folded = [folded_words(headline) for headline in headlines]
    found = [_best(folded_words(point), folded) for point in points[:_MOST_POINTS]]
    return found + [None] * (len(points) - len(found))


def _best(point: str, headlines: Sequence[str]) -> int | None:
    close = process.extract(
        point, headlines, scorer=fuzz.token_set_ratio, score_cutoff=THRESHOLD, limit=5
    )
    if not close:
        return None
    # Words shared in full make 100 of many a short headline; the whole wording then decides.
    best = max(close, key=lambda found: (found[1], fuzz.token_sort_ratio(point, found[0])))
    return best[2] + 1


def folded_words(text: str) -> str:
    """Lower case, straight quotes, and every Chinese character a word of its own."""
    lowered = text[:_LONGEST].translate(_FOLDED).lower()
    spaced = "".join(f" {character} " if is_cjk(character) else character for character in lowered)
    return " ".join(_WORD.findall(spaced))

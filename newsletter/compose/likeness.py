"""Tells that two web addresses lead to the same page, and that two headlines tell the same story."""

import hashlib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from rapidfuzz import fuzz, process

from newsletter.compose.matching import folded_words
from newsletter.models.story_inbox import URL_KEY_BYTES

# Headlines of one real briefing are at most 58 alike; another paper's of the same story, 85 and more.
ALIKE = 85
# Words shared in full make 100 of any short headline; then most of the longer one must be shared too.
_WHOLE = 65
_MOST_COMPARED = 20

_ADDRESS = tomllib.loads(Path(__file__).with_name("candidates.toml").read_text("utf-8"))["address"]
_NOISE = frozenset(_ADDRESS["noise"])
_NOISE_PREFIXES = tuple(_ADDRESS["noise_prefixes"])
_INDEXES = tuple(f"/{name}" for name in _ADDRESS["indexes"])
_HOST_PREFIXES = tuple(_ADDRESS["host_prefixes"])


def url_key(url: str) -> bytes:
    """The same for addresses that differ in nothing that makes another page of it."""
    parts = urlsplit(url)
    host = (parts.hostname or "").removesuffix(".")
    for prefix in _HOST_PREFIXES:
        host = host.removeprefix(prefix)
    wanted = sorted(
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name.lower() not in _NOISE and not name.lower().startswith(_NOISE_PREFIXES)
    )
    kept = "\n".join((host, _path(parts.path), urlencode(wanted)))
    return hashlib.blake2b(kept.encode(), digest_size=URL_KEY_BYTES).digest()


def _path(path: str) -> str:
    for index in _INDEXES:
        path = path.removesuffix(index)
    return path.rstrip("/").removesuffix("/amp")


class Headlines:
    """Headlines that are known already, to hold others against."""

    def __init__(self, headlines: Sequence[str] = ()) -> None:
        self._folded = [folded_words(each) for each in headlines]

    def add(self, headline: str) -> None:
        self._folded.append(folded_words(headline))

    def find(self, headline: str) -> int | None:
        """The place of the one that is most alike, from 0 on; None: none tells the same."""
        wanted = folded_words(headline)
        close = process.extract(
            wanted,
            self._folded,
            scorer=fuzz.token_set_ratio,
            score_cutoff=ALIKE,
            limit=_MOST_COMPARED,
        )
        whole = [(fuzz.token_sort_ratio(wanted, text), place) for text, _, place in close]
        best = max(whole, default=(0.0, 0))
        return best[1] if best[0] >= _WHOLE else None

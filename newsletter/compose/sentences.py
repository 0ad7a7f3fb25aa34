"""Where sentences end: the stops of English and Chinese, and the abbreviations that are none."""

import re
import unicodedata
from collections.abc import Iterable

_STOPS = ".!?。！？…"
_CLOSERS = "\"'”’»)）]］】」』》*_ "
_ABBREVIATION = re.compile(
    r"(?:^|[\s(（“\"'‘-])(?:(?:[A-Z]\.){1,5}|(?:Inc|Co|Corp|Ltd|Jr|Sr|No|Nos|vs|etc|Mr|Mrs|Ms|Dr|St|Gen|Gov|Sen"
    r"|Rep|Prof|Mt|approx|est|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Vol|Fig|a\.m|p\.m|e\.g|i\.e)\.)$"
)
_STOP = re.compile(
    r"[.!?…]{1,3}[\"'”’)]{0,3}(?=\s{1,3}[\"'“‘(\[]?[A-Z0-9\u3400-\u9fff$€£¥])|[。！？]{1,3}[”’」』）]{0,3}"
)
_TRAILER = re.compile(r"\s*[(（\[［【][^()（）\[\]［］【】]{1,90}[)）\]］】]\s*$")
_TAIL = 120


def ends_sentence(text: str) -> bool:
    """True for a last stop, also before a closing quote or a last parenthesis."""
    text = text.rstrip()
    if _ends_in_stop(text):
        return True
    trailer = _TRAILER.search(text, max(len(text) - _TAIL, 0))
    return trailer is not None and _ends_in_stop(text[: trailer.start()])


def first_sentence(text: str) -> int | None:
    """The index after the first sentence, closing quotes included, when another text follows."""
    for stop in _STOP.finditer(text):
        if text[stop.start()] == "." and _ABBREVIATION.search(
            text[max(stop.start() - 12, 0) : stop.start() + 1]
        ):
            continue
        return stop.end() if text[stop.end() :].strip() else None
    return None


def width(text: str) -> int:
    """Columns on a screen, about: a Chinese character takes two."""
    if text.isascii():
        return len(text)
    return len(text) + sum(map(is_cjk, text))


def is_cjk(character: str) -> bool:
    """Han characters with their punctuation and full-width forms."""
    return "\u3000" <= character <= "\u9fff" or "\uf900" <= character <= "\uffef"


def language_of(texts: Iterable[str]) -> str:
    """By the letters: zh or en."""
    chinese = latin = 0
    for text in texts:
        chinese += sum("\u3400" <= character <= "\u9fff" for character in text)
        latin += sum(character.isalpha() and character < "\u0250" for character in text)
    # A Chinese character says about as much as two letters.
    return "zh" if 2 * chinese > latin else "en"


def shortened(text: str, most: int) -> str:
    """Cut at a word's end, so that nobody is shown half a word."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[: most - 1]
    return (cut.rsplit(" ", 1)[0] if " " in cut else cut).rstrip(" ,;:·") + "…"


def is_title_case(text: str) -> bool:
    """Most of the longer words start with a capital, as in an English headline."""
    words = [word for word in re.findall(r"[A-Za-z][\w’'-]*", text[:400]) if len(word) > 3]
    capitals = sum(word[0].isupper() for word in words)
    return len(words) >= 2 and capitals >= 0.7 * len(words)


def starts_afresh(text: str) -> bool:
    """No lower-case letter at the start: this may begin something new."""
    first = text.lstrip("\"'“‘(（《「 ")[:1]
    return bool(first) and unicodedata.category(first) != "Ll"


def _ends_in_stop(text: str) -> bool:
    bare = text.rstrip(_CLOSERS)
    if not bare or bare[-1] not in _STOPS:
        return False
    return not _ABBREVIATION.search(bare[-12:]) or first_sentence(text) is not None

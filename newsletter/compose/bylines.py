"""Who made it: the credits of a briefing and the source of a story."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from newsletter.compose.sentences import ends_sentence

_WORDS = tomllib.loads(Path(__file__).with_name("credits.toml").read_text(encoding="utf-8"))
CREDIT_ROLES = tuple(_WORDS["briefing"])
_ROLES = {word: role for role, words in _WORDS["briefing"].items() for word in words}

_LONGEST_NAME = 80
_SEPARATOR = r"\s{0,9}[|｜丨:：/／]\s{0,9}"


def _any_of(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_CREDIT = re.compile(
    rf"(?:^|(?<=[\s,，;；、|｜丨·(（]))(?P<role>{_any_of(list(_ROLES))}){_SEPARATOR}", re.IGNORECASE
)
_SPACED_CREDIT = re.compile(
    r"(?P<role>(?:produced|published|presented|edited|written|reported|reporting|words) by"
    r"|(?:责任?编辑?|编辑|本报记者|记者|作者|撰文|出品))\s{1,9}(?P<name>\S.{0,79})",
    re.IGNORECASE,
)
_BY = re.compile(r"(?:by|BY|By) (?P<name>[A-Z\u00c0-\u024f][^\d,;:!?]{1,60})")
_SOURCE_WORD = rf"(?:{_any_of(_WORDS['source']['words'])})\s{{0,9}}[|｜丨:：]\s{{0,9}}"
_SOURCE_LABEL = re.compile(rf"(?:{_SOURCE_WORD}|(?:via|source)\s{{1,9}}(?=[A-Z]))", re.IGNORECASE)
_SOURCE_LINE = re.compile(
    rf"(?:[-–—]{{1,3}}\s{{0,9}})?[(（\[［【]?\s{{0,9}}"
    rf"(?:{_SOURCE_WORD}|(?i:via)\s{{1,9}}(?=[A-Z\u3400-\u9fff]))"
    r"(?P<name>[^()（）\[\]［］【】]{1,80})[)）\]］】]?[.。]?",
    re.IGNORECASE,
)
_PHOTO_LINE = re.compile(
    rf"[(（\[【]?(?:{_any_of(_WORDS['source']['photo'])})\s{{0,9}}[|｜:：/／]\s{{0,9}}\S.{{0,200}}",
    re.IGNORECASE,
)
_BARE_SOURCE_LINE = re.compile(
    r"[(（](?P<bracketed>[^()（）]{1,80})[)）]|(?:——|—|–|--)\s{0,9}(?P<dashed>[^()（）]{1,40})"
)
_INLINE_SOURCE = re.compile(
    rf"(?:\s|(?<=[。！？”])){_SOURCE_WORD}(?P<name>.{{1,80}})$", re.IGNORECASE
)
_DASHED_SOURCE = re.compile(r"\s{0,9}(?:——|—|–|--)\s{0,9}(?P<name>[^—–.!?。！？,，;；]{1,40})$")
_STRONG_STOP = re.compile(r"[.!?。！？…][\"'”’」』)）*_]{0,3}$")
_OPENING = "(（[［【"
_CLOSING = ")）]］】"


@dataclass(frozen=True, slots=True)
class Source:
    """The outlet at the end of a paragraph; the text proper is what stands before `start`."""

    name: str
    start: int


def credits_in(text: str) -> dict[str, str]:
    """Role and name of every credit when the line holds credits and nothing else."""
    if len(text) > 300:
        return {}
    bare = text.strip("()（）[]【】 ")
    if spaced := _SPACED_CREDIT.fullmatch(bare):
        role = _ROLES.get(spaced["role"].lower())
        if role and _is_person(spaced["name"]) and not _CREDIT.search(bare):
            return {role: spaced["name"].strip()}
    found = list(_CREDIT.finditer(bare))
    if not found or found[0].start():
        return {}
    ends = [match.start() for match in found[1:]] + [len(bare)]
    credits: dict[str, str] = {}
    for match, end in zip(found, ends, strict=True):
        name = bare[match.end() : end].strip(" ,，;；、|｜丨·/")
        if not name or len(name) > _LONGEST_NAME or ends_sentence(name):
            return {}
        credits.setdefault(_ROLES[match["role"].lower()], name)
    return credits


def author_in(text: str) -> str | None:
    """The name of a line “By …”."""
    match = _BY.fullmatch(text)
    return match["name"].strip() if match and _is_person(match["name"]) else None


def source_line(text: str) -> str | None:
    """The outlet of a line that says nothing else."""
    if len(text) > 200:
        return None
    if labelled := _SOURCE_LINE.fullmatch(text):
        name = labelled["name"].strip(" .。")
        return name if name and not ends_sentence(name) else None
    bare = _BARE_SOURCE_LINE.fullmatch(text)
    name = (bare["bracketed"] or bare["dashed"]).strip() if bare else ""
    return name if _is_outlet(name) else None


def has_source_word(text: str) -> bool:
    return len(text) <= 200 and bool(_SOURCE_LINE.fullmatch(text))


def is_photo_line(text: str) -> bool:
    return len(text) <= 240 and bool(_PHOTO_LINE.fullmatch(text))


def source_of(text: str, known: frozenset[str] = frozenset()) -> Source | None:
    """The credit that ends a paragraph, after a sentence stop.

    `known` are outlets (casefolded) credited elsewhere: they need no stop before them.
    """
    return _bracketed_source(text, known) or _trailing_source(text)


def _bracketed_source(text: str, known: frozenset[str]) -> Source | None:
    closed = text.rstrip(" .。*_")
    if not closed or closed[-1] not in _CLOSING:
        return None
    opening = max(
        closed.rfind(bracket, max(len(closed) - 100, 0), len(closed) - 1) for bracket in _OPENING
    )
    if opening < 1:
        return None
    inner = closed[opening + 1 : -1].strip()
    label = _SOURCE_LABEL.match(inner)
    name = inner[label.end() :] if label else inner
    body = closed[:opening].rstrip()
    follows_stop = bool(_STRONG_STOP.search(body, max(len(body) - 5, 0)))
    if not _is_outlet(name) or not (follows_stop or label or name.casefold() in known):
        return None
    return Source(name, len(body))


def _trailing_source(text: str) -> Source | None:
    start = max(len(text) - 120, 0)
    if labelled := _INLINE_SOURCE.search(text, start):
        name = labelled["name"].strip(" .。")
        body = text[: labelled.start()].rstrip()
        if _is_outlet(name) and ends_sentence(body):
            return Source(name, len(body))
    for dashed in _DASHED_SOURCE.finditer(text, start):
        body = text[: dashed.start()].rstrip()
        if _STRONG_STOP.search(body, max(len(body) - 5, 0)) and _is_outlet(dashed["name"]):
            return Source(dashed["name"].strip(), len(body))
    return None


def _is_outlet(name: str) -> bool:
    if not 0 < len(name) <= _LONGEST_NAME or not any(map(str.isalpha, name)):
        return False
    if any(bracket in name for bracket in _OPENING + _CLOSING):
        return False
    if name[-1] in ".!?。！？…" or re.search(r"[!?。！？]|[a-z]\.\s", name):
        return False
    return not (name[0].islower() and " " in name and not name.startswith("the "))


def _is_person(name: str) -> bool:
    return len(name.split()) <= 8 and not ends_sentence(name)

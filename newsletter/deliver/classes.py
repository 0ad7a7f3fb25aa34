"""What a server's refusal means; the words are in `classes.toml`, beside this file."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from newsletter.deliver.outcome import Reply
from newsletter.models import ReplyClass

TABLE = Path(__file__).with_name("classes.toml")
KNOWN_REPLIES = 4096
MOST_READ = 1000
"""Characters of a reply that are looked at; the rest of an endless one says nothing new."""


@dataclass(frozen=True, slots=True)
class Wording:
    reply_class: ReplyClass
    codes: frozenset[int]
    status: frozenset[str]
    """Empty: whatever the enhanced status code."""
    text: re.Pattern[str]

    def match(self, reply: Reply) -> bool:
        return (
            reply.code in self.codes
            and (not self.status or reply.enhanced in self.status)
            and self.text.search(reply.text[:MOST_READ]) is not None
        )


@dataclass(frozen=True, slots=True)
class Table:
    words: tuple[Wording, ...]
    status: Mapping[str, ReplyClass]
    code: Mapping[int, ReplyClass]


def read_table(text: str) -> Table:
    raw = tomllib.loads(text)
    return Table(
        words=tuple(
            Wording(
                ReplyClass(rule["class"]),
                frozenset(rule["codes"]),
                frozenset(rule.get("status", ())),
                re.compile(rule["text"], re.IGNORECASE),
            )
            for rule in raw["words"]
        ),
        status={
            status: ReplyClass(rule["class"])
            for rule in raw["status"]
            for pattern in rule["status"]
            for status in _both_digits(pattern)
        },
        code=_by_code(raw["code"]),
    )


def classes_in_words(reply: Reply) -> frozenset[ReplyClass]:
    """Every class that the reply's words speak for; one at the most, unless the table is wrong."""
    return frozenset(rule.reply_class for rule in _TABLE.words if rule.match(reply))


def classify(reply: Reply | None) -> ReplyClass | None:
    """None when nobody spoke, or when the answer was yes."""
    if reply is None or reply.is_positive:
        return None
    return _classify(reply)


@lru_cache(maxsize=KNOWN_REPLIES)
def _classify(reply: Reply) -> ReplyClass:
    for rule in _TABLE.words:
        if rule.match(reply):
            return rule.reply_class
    by_status = _by_status(reply.enhanced or "")
    return by_status or _TABLE.code.get(reply.code, ReplyClass.UNKNOWN)


def _by_status(status: str) -> ReplyClass | None:
    """5.7.28 is asked for first, then 5.7.*."""
    found = _TABLE.status.get(status)
    return found or _TABLE.status.get(f"{status.rpartition('.')[0]}.*")


def _both_digits(pattern: str) -> Iterator[str]:
    if pattern.startswith("x"):
        yield from (f"4{pattern[1:]}", f"5{pattern[1:]}")
    else:
        yield pattern


def _by_code(rules: list[dict[str, Any]]) -> dict[int, ReplyClass]:
    return {code: ReplyClass(rule["class"]) for rule in rules for code in rule["codes"]}


_TABLE = read_table(TABLE.read_text(encoding="utf-8"))

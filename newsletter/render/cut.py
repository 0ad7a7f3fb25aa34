"""A text cut at the places where something is put in per reader: static text, slot, static text."""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType

from newsletter.errors import RenderError

Slot = NewType("Slot", str)

GREETING = Slot("greeting")
ADDRESS = Slot("address")
JOINED = Slot("joined")
OPEN = Slot("open")
CLICK = Slot("click")
UNSUBSCRIBE = Slot("unsubscribe")
PREFERENCES = Slot("preferences")

# What may differ between readers who hide sections: what an inbox shows beside the subject, and the
# key points' numbers.
PREHEADER = Slot("preheader")
POINT = Slot("point")

# What stands between these two is for the mail alone and left out of the web page.
MAIL_ONLY = Slot("mail-only")
MAIL_END = Slot("mail-end")

# Between it and a `PART_END` stands what is left out before the first key point that is shown.
BETWEEN = Slot("between")
PART_END = Slot("part-end")

_LINK = "link:"
_PART = "part:"


def link_slot(number: int) -> Slot:
    """Stands for the whole address of the numbered link."""
    return Slot(f"{_LINK}{number}")


def link_number(slot: Slot) -> int | None:
    return int(slot.removeprefix(_LINK)) if slot.startswith(_LINK) else None


def part_slot(sections: Sequence[int]) -> Slot:
    """Up to its `PART_END`: what goes when all of these sections go, by their places from 0 on."""
    return Slot(_PART + ",".join(map(str, sections)))


def part_sections(slot: Slot) -> tuple[int, ...] | None:
    if not slot.startswith(_PART):
        return None
    return tuple(map(int, slot.removeprefix(_PART).split(",")))


@dataclass(frozen=True, slots=True)
class Cut:
    """`statics` is one longer than `slots`: a slot stands between each two of them."""

    statics: tuple[str, ...]
    slots: tuple[Slot, ...]

    @classmethod
    def joined(cls, pieces: Iterable[tuple[str, Slot | None]]) -> "Cut":
        """From pairs of a text and the slot after it; texts with no slot between become one."""
        statics, slots = [""], []
        for text, slot in pieces:
            statics[-1] += text
            if slot is not None:
                slots.append(slot)
                statics.append("")
        return cls(tuple(statics), tuple(slots))

    def pieces(self) -> Iterable[tuple[str, Slot | None]]:
        return zip(self.statics, (*self.slots, None), strict=True)

    def fill(self, value: Callable[[Slot], str]) -> str:
        return "".join(text + (value(slot) if slot else "") for text, slot in self.pieces())


class Sentinels:
    """Hands out a stand-in for each slot, and finds them again in what has become of the text.

    Only letters and digits pass unchanged through Jinja, premailer, lxml and cssutils in every
    place of a page; the random part keeps an editor's text from ever holding one. `widths` says
    how long what is put in for each slot will be about.
    """

    def __init__(self, widths: Mapping[Slot, int]) -> None:
        self._widths = widths
        self._nonce = f"zq{secrets.token_hex(6)}"
        self._slots: list[Slot] = []
        self._pattern = re.compile(rf"{self._nonce}x(\d+)z")

    def __call__(self, slot: Slot) -> str:
        if slot not in self._slots:
            self._slots.append(slot)
        return f"{self._nonce}x{self._slots.index(slot):03d}z"

    def cut(self, text: str) -> Cut:
        pieces = self._pattern.split(text)
        return Cut(tuple(pieces[0::2]), tuple(self._slots[int(index)] for index in pieces[1::2]))

    def widen(self, text: str) -> str:
        """The text about as long as it will be when its slots are filled."""
        return self._pattern.sub(lambda match: "x" * self._widths[self._slots[int(match[1])]], text)

    def assert_kept(self, before: str, after: str) -> None:
        """Raises `RenderError` if a stand-in was lost, doubled or moved past another."""
        if self.cut(before).slots != self.cut(after).slots:
            raise RenderError(
                "the inliner lost or moved a place where something is put in per reader"
            )

"""Which sections of an edition readers can hide, and what hiding them comes to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.sections import section_of, sections_of
from newsletter.compose.briefing import Briefing
from newsletter.models import CompiledEdition, ListSection


@dataclass(frozen=True, slots=True)
class Hiding:
    """Of one edition on one list; a reader's hidden sections come as the bits of their subscription."""

    bits: tuple[int | None, ...]
    """For each section of the briefing, the bit of the list's section; None: it always stays."""
    hideable: int
    """All these bits."""

    @classmethod
    def of(cls, bits: Sequence[int | None]) -> Self:
        known = [bit for bit in bits if bit is not None]
        return cls(tuple(bits), reduce(or_, (1 << bit for bit in known), 0))

    @property
    def everything(self) -> int | None:
        """Whoever hides all of it has nothing left; None: something always stays."""
        return self.hideable if self.hideable and None not in self.bits else None

    def places(self, hidden: int) -> int:
        """A bit for each section of the briefing that these readers hide, the first one's is 1."""
        if not hidden & self.hideable:
            return 0
        return sum(
            1 << place
            for place, bit in enumerate(self.bits)
            if bit is not None and hidden >> bit & 1
        )

    def leaves_nothing(self, hidden: int) -> bool:
        everything = self.everything
        return everything is not None and hidden & everything == everything


def freeze_sections(session: Session, edition_id: int, revision: int, briefing: Briefing) -> None:
    """Note what the briefing's headings mean on each of its lists now."""
    for compiled in _compiled(session, edition_id, revision):
        compiled.section_bits = _bits(session, compiled.list_id, briefing)
    session.flush()


def hiding_now(session: Session, list_id: int, briefing: Briefing) -> Hiding:
    """What the briefing's headings would mean on the list if it were frozen now."""
    return Hiding.of(_bits(session, list_id, briefing))


def hiding_of(session: Session, edition_id: int, revision: int) -> dict[int, Hiding]:
    """By list."""
    rows = session.execute(
        select(CompiledEdition.list_id, CompiledEdition.section_bits).where(
            CompiledEdition.edition_id == edition_id, CompiledEdition.revision == revision
        )
    )
    return {list_id: Hiding.of(bits) for list_id, bits in rows}


def _compiled(session: Session, edition_id: int, revision: int) -> Sequence[CompiledEdition]:
    return session.scalars(
        select(CompiledEdition).where(
            CompiledEdition.edition_id == edition_id, CompiledEdition.revision == revision
        )
    ).all()


def _bits(session: Session, list_id: int, briefing: Briefing) -> list[int | None]:
    sections = sections_of(session, list_id)
    return [
        _bit(section_of(section.name, sections)) if section.name else None
        for section in briefing.sections
    ]


def _bit(section: ListSection | None) -> int | None:
    return None if section is None or section.is_pinned else section.bit

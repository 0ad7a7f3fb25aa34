"""Adds to the figures of editions, in the transaction that writes what they count.

Always in the same order of tables, and of rows in each: whoever counts at the same time waits and
is not waited for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from newsletter.db import Model, upsert
from newsletter.models import HOURS, EditionFigures, HourFigures, LinkFigures, StoryFigures

_HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Gain:
    """What one edition's figures grow by."""

    opens: int = 0
    clicks: int = 0
    clickers: int = 0
    unsubscribes: int = 0


@dataclass(slots=True)
class HourGain:
    """What the figures of one hour since delivery grow by."""

    opens: int = 0
    clicks: int = 0
    unsubscribes: int = 0


HourKey = tuple[int, int, int]
"""(edition, list, hour)"""


def hour_since(sent_at: datetime, at: datetime) -> int:
    """Whose clock is a little behind has opened it at once."""
    return min(max((at - sent_at) // _HOUR, 0), HOURS)


def add_to_edition_figures(session: Session, gains: Mapping[int, Gain]) -> None:
    rows = [{"edition_id": key, **asdict(gain)} for key, gain in sorted(gains.items(), key=_key)]
    _add(session, EditionFigures, ["edition_id"], rows)


def add_to_link_figures(session: Session, clicks: Mapping[tuple[int, int], int]) -> None:
    """`clicks` has how many readers more clicked each (edition, link number)."""
    rows = [
        {"edition_id": edition_id, "number": number, "clicks": more}
        for (edition_id, number), more in sorted(clicks.items())
    ]
    _add(session, LinkFigures, ["edition_id", "number"], rows)


def add_to_story_figures(session: Session, clickers: Mapping[tuple[int, int], int]) -> None:
    """`clickers` has how many readers more followed any link of each (edition, story)."""
    rows = [
        {"edition_id": edition_id, "story": story, "clickers": more}
        for (edition_id, story), more in sorted(clickers.items())
    ]
    _add(session, StoryFigures, ["edition_id", "story"], rows)


def add_to_hour_figures(session: Session, gains: Mapping[HourKey, HourGain]) -> None:
    rows = [
        {"edition_id": key[0], "list_id": key[1], "hour": key[2], **asdict(gain)}
        for key, gain in sorted(gains.items(), key=_key)
    ]
    _add(session, HourFigures, ["edition_id", "list_id", "hour"], rows)


def _key(item: tuple[Any, Any]) -> Any:
    return item[0]


def _add(
    session: Session, table: type[Model], keys: Sequence[str], rows: Sequence[Mapping[str, int]]
) -> None:
    if not rows:
        return
    insert = upsert(session, table)
    counts = {
        name: getattr(table, name) + insert.excluded[name] for name in rows[0] if name not in keys
    }
    session.execute(insert.on_conflict_do_update(index_elements=keys, set_=counts), rows)

"""Adds to the figures of editions and links, in the transaction that writes what they count."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from newsletter.db import upsert
from newsletter.models import EditionFigures, LinkFigures


@dataclass(slots=True)
class Gain:
    """What one edition's figures grow by."""

    opens: int = 0
    clicks: int = 0
    unsubscribes: int = 0


def add_to_edition_figures(session: Session, gains: Mapping[int, Gain]) -> None:
    if not gains:
        return
    insert = upsert(session, EditionFigures)
    statement = insert.on_conflict_do_update(
        index_elements=[EditionFigures.edition_id],
        set_={
            "opens": EditionFigures.opens + insert.excluded.opens,
            "clicks": EditionFigures.clicks + insert.excluded.clicks,
            "unsubscribes": EditionFigures.unsubscribes + insert.excluded.unsubscribes,
        },
    )
    rows = [
        {
            "edition_id": edition_id,
            "opens": gain.opens,
            "clicks": gain.clicks,
            "unsubscribes": gain.unsubscribes,
        }
        for edition_id, gain in sorted(gains.items())
    ]
    session.execute(statement, rows)


def add_to_link_figures(session: Session, clicks: Mapping[tuple[int, int], int]) -> None:
    """`clicks` has how many readers more clicked each (edition, link number)."""
    if not clicks:
        return
    insert = upsert(session, LinkFigures)
    statement = insert.on_conflict_do_update(
        index_elements=[LinkFigures.edition_id, LinkFigures.number],
        set_={"clicks": LinkFigures.clicks + insert.excluded.clicks},
    )
    rows = [
        {"edition_id": edition_id, "number": number, "clicks": more}
        for (edition_id, number), more in sorted(clicks.items())
    ]
    session.execute(statement, rows)

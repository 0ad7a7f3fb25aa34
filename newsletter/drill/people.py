"""The drill's own newsroom: two lists, readers at five invented providers, and a morning's text."""

import csv
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine

from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.lists import NewList, create_list
from newsletter.db import transaction
from newsletter.models import LegalBasis

PROVIDERS = (
    "harbourmail.example",
    "kestrel.example",
    "letterbox.example",
    "northpost.example",
    "quaymail.example",
)
BRIEFING = """\
[The Drill] The Ferry Runs Again, for the Time Number {number}

Producer | Nell Harrow

Editor | Tom Vane

Today is Monday, November 23rd. This is edition {number} of a drill; every reader of it is invented.

Key stories this morning:

  1. The ferry to the islands runs again, after {number} days.

  2. The fish market opens an hour before dawn.

  3. The harbour clock strikes thirteen.

[Port]

The Ferry to the Islands Runs Again

The ferry left at six with {number} passengers on board and came back on time. (Harbour Gazette)

The Fish Market Opens an Hour Before Dawn

Porters asked for it, and the cooks of the town are glad of it. (Quay Times)

The Harbour Clock Strikes Thirteen

It has done so since Friday, and nobody knows how to make it stop.
"""
_GIVEN = ("Ada", "Bo", "Cy", "Dorothea", "Eliot", "Florence", "Niamh", "Owen", "Zoë", "Ute")
_LEFT = ("unsubscribed", "pending", "bounced")
_ONE_IN_BOTH = 20
_ONE_LEFT = 25


def make_lists(engine: Engine, *, now: datetime) -> tuple[int, ...]:
    """Two of them, so that an edition has batches for two workers at least."""
    with transaction(engine) as session:
        return tuple(
            create_list(
                session,
                NewList(
                    slug=slug,
                    name=f"The {slug.title()} Drill",
                    sender_name="The Drill",
                    sender_address="drill@press.example",
                    postal_address="The Drill, 4 Ropewalk Lane, Port Ellery",
                ),
                now=now,
            ).id
            for slug in ("harbour", "market")
        )


def import_readers(
    engine: Engine, lists: tuple[int, ...], numbers: range, folder: Path, *, now: datetime
) -> None:
    """These people, who may be mailed, one in 20 of them through both lists; and one in 25 more
    who left.
    """
    for position, list_id in enumerate(lists):
        path = folder / f"readers-{numbers.start}-{position + 1}.csv"
        _write_csv(path, position, len(lists), numbers)
        with path.open("rb") as stream:
            import_file(
                engine,
                stream,
                ImportPlan(basis=LegalBasis.CONSENT),
                list_id=list_id,
                file_name=path.name,
                by="drill",
                now=now,
            )


def _write_csv(path: Path, position: int, lists: int, numbers: range) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("email", "name", "status"))
        for number in numbers:
            if number % lists == position or number % _ONE_IN_BOTH == 0:
                writer.writerow((*_person("reader", number), "subscribed"))
            if number % _ONE_LEFT == 0 and (number // _ONE_LEFT) % lists == position:
                status = _LEFT[number // _ONE_LEFT % len(_LEFT)]
                writer.writerow((*_person("left", number), status))


def _person(kind: str, number: int) -> tuple[str, str]:
    name = _GIVEN[number % len(_GIVEN)]
    provider = PROVIDERS[number % len(PROVIDERS)]
    return f"{kind}{number}@{provider}", f"{name} the {number}th"

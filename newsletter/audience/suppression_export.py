"""Hands the suppressions on, as hashes: the addresses themselves are kept nowhere."""

import csv
import json
from collections.abc import Iterator
from typing import IO

from sqlalchemy import Engine, select

from newsletter.addresses import address_key_id
from newsletter.audience.suppression import (
    MOST_ON_A_PAGE,
    SoughtSuppressions,
    list_suppressions,
)
from newsletter.db import reading
from newsletter.models import EVERYWHERE, MailingList

COLUMNS = ("hash", "key_id", "list", "reason", "source", "created_at")


def write_csv(engine: Engine, file: IO[str], *, list_id: int | None = None) -> int:
    """Returns how many there were; `list_id` may be `EVERYWHERE`, None means all of them."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    written = 0
    for written, row in enumerate(_rows(engine, list_id), start=1):  # noqa: B007  it is the count
        writer.writerow(row)
    return written


def write_json_lines(engine: Engine, file: IO[str], *, list_id: int | None = None) -> int:
    written = 0
    for written, row in enumerate(_rows(engine, list_id), start=1):  # noqa: B007  it is the count
        file.write(json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False) + "\n")
    return written


def _rows(engine: Engine, list_id: int | None) -> Iterator[tuple[str, ...]]:
    """Page by page, so that memory stays flat and nobody is held up."""
    key_id, after = address_key_id(), None
    with reading(engine) as session:
        slugs = {row.id: row.slug for row in session.scalars(select(MailingList))}
    slugs[EVERYWHERE] = ""
    sought = SoughtSuppressions(list_id)
    while True:
        with reading(engine) as session:
            page = list_suppressions(session, sought, after=after, limit=MOST_ON_A_PAGE)
        for entry in page.entries:
            yield (
                entry.address_hash.hex(),
                key_id,
                slugs.get(entry.list_id, ""),
                entry.reason.value,
                entry.source,
                entry.created_at.isoformat(),
            )
        after = page.next_after
        if after is None:
            return

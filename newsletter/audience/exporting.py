"""Writes the people of a list or a segment to a file: CSV, or JSON Lines.

What a spreadsheet would calculate is written so that it stays text; an import takes the mark off
again, so that importing an export changes nothing.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from sqlalchemy import ColumnElement, Engine, Select, and_, func, select
from sqlalchemy.orm import Session, aliased

from newsletter.audience.attributes import all_attributes, written
from newsletter.db import among, reading
from newsletter.models import (
    EVERYWHERE,
    Subscriber,
    SubscriberTag,
    Subscription,
    SubscriptionStatus,
    Suppression,
    Tag,
    Zone,
)

PEOPLE_PER_PAGE = 5_000
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ON_THIS_LIST = " on this list"
_EVERYWHERE = aliased(Suppression)
_HERE = aliased(Suppression)

OnProgress = Callable[[int, int], None]
"""Called with the people written so far and about how many there are."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom to export: the people of a list, those that `people` selects, or who is both."""

    list_id: int | None = None
    people: Select[int] | None = None
    """Subscriber ids."""
    status: SubscriptionStatus | None = None
    """Theirs on the list; None: whichever."""


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the file, and how many people are in it."""

    text: str
    people: int


def write_csv(
    engine: Engine,
    audience: Audience,
    file: IO[str],
    *,
    is_raw: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Returns how many people were written. `is_raw`: for a program, cells exactly as they are."""
    return _write(csv_pages(engine, audience, is_raw=is_raw, on_progress=on_progress), file)


def write_json_lines(
    engine: Engine,
    audience: Audience,
    file: IO[str],
    *,
    on_progress: OnProgress | None = None,
) -> int:
    """Returns how many people were written, an object on each line."""
    return _write(json_pages(engine, audience, on_progress=on_progress), file)


def csv_pages(
    engine: Engine,
    audience: Audience,
    *,
    is_raw: bool = False,
    on_progress: OnProgress | None = None,
) -> Iterator[Page]:
    """The same piece by piece, for whoever hands it on as it comes."""
    with reading(engine) as session:
        keys = [attribute.key for attribute in all_attributes(session)]
    columns = _columns(audience)
    yield _csv([[*columns, *(f"attribute {key}" for key in keys)]], people=0)
    for people in _people(engine, audience, on_progress):
        rows = [
            [
                *(_cell(person[column]) for column in columns),
                *(_cell(person["attributes"].get(key)) for key in keys),
            ]
            for person in people
        ]
        safe = rows if is_raw else [[disarmed(cell) for cell in row] for row in rows]
        yield _csv(safe, people=len(people))


def json_pages(
    engine: Engine, audience: Audience, *, on_progress: OnProgress | None = None
) -> Iterator[Page]:
    columns = _columns(audience)
    for people in _people(engine, audience, on_progress):
        lines = (
            json.dumps(
                {column: _plain(person[column]) for column in columns}
                | {"attributes": person["attributes"]},
                ensure_ascii=False,
            )
            for person in people
        )
        yield Page("".join(f"{line}\n" for line in lines), len(people))


def _columns(audience: Audience) -> list[str]:
    """As importing knows them by their titles."""
    of_the_list = ["status", "joined_at", "left_at"] if audience.list_id is not None else []
    return [
        *("email", "name", "language", "zone"),
        *of_the_list,
        *("suppressed", "suppressed_at", "tags"),
    ]


def count_people(session: Session, audience: Audience) -> int:
    return session.scalar(_chosen(audience, func.count())) or 0


def _write(pages: Iterable[Page], file: IO[str]) -> int:
    done = 0
    for page in pages:
        file.write(page.text)
        done += page.people
    return done


def _csv(rows: Iterable[Sequence[str]], *, people: int) -> Page:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return Page(text.getvalue(), people)


def _people(
    engine: Engine, audience: Audience, on_progress: OnProgress | None
) -> Iterator[list[dict[str, Any]]]:
    """All of one instant: people who come and go meanwhile change nothing of the file."""
    done = 0
    with reading(engine) as session:
        total = count_people(session, audience) if on_progress else 0
        for people in _pages(session, audience):
            yield people
            done += len(people)
            if on_progress is not None:
                on_progress(done, total)


def _pages(session: Session, audience: Audience) -> Iterator[list[dict[str, Any]]]:
    columns: list[Any] = [
        Subscriber.id,
        Subscriber.address,
        Subscriber.name,
        Subscriber.language,
        Zone.name,
        Subscriber.attributes,
        _EVERYWHERE.reason,
        _EVERYWHERE.created_at,
        _HERE.reason,
        _HERE.created_at,
    ]
    if audience.list_id is not None:
        columns += [Subscription.status, Subscription.joined_at, Subscription.left_at]
    query = (
        _chosen(audience, *columns)
        .outerjoin(Zone, Zone.id == Subscriber.zone_id)
        .outerjoin(_EVERYWHERE, _is_suppressed(_EVERYWHERE, EVERYWHERE))
        .outerjoin(_HERE, _is_suppressed(_HERE, audience.list_id))
        .order_by(Subscriber.id)
        # One query with a cursor: page by page a segment would be worked out again for each page.
        .execution_options(yield_per=PEOPLE_PER_PAGE)
    )
    for rows in session.execute(query).partitions():
        tags = _tags(session, [row[0] for row in rows])
        yield [_person(row, tags) for row in rows]


def _is_suppressed(entry: type[Suppression], list_id: int | None) -> ColumnElement[bool]:
    return and_(entry.address_hash == Subscriber.address_hash, entry.list_id == list_id)


def _chosen(audience: Audience, *columns: Any) -> Select[Any]:
    query = select(*columns).select_from(Subscriber)
    if audience.list_id is not None:
        query = query.join(Subscription, Subscription.subscriber_id == Subscriber.id).where(
            Subscription.list_id == audience.list_id
        )
        if audience.status is not None:
            query = query.where(Subscription.status == audience.status)
    if audience.people is not None:
        query = query.where(Subscriber.id.in_(audience.people))
    return query


def _person(row: Sequence[Any], tags: Mapping[int, list[str]]) -> dict[str, Any]:
    number, address, name, language, zone, attributes, *rest = row
    everywhere, everywhere_at, here, here_at, *of_the_list = rest
    status, joined_at, left_at = of_the_list or (None, None, None)
    return {
        "id": number,
        "email": address,
        "name": name,
        "language": language,
        "zone": zone,
        "status": None if status is None else status.name.lower(),
        "joined_at": joined_at,
        "left_at": left_at,
        "suppressed": everywhere or (here and here + _ON_THIS_LIST),
        "suppressed_at": everywhere_at or here_at,
        "tags": tags.get(number, []),
        "attributes": attributes,
    }


def _tags(session: Session, ids: Sequence[int]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for number, name in session.execute(
        select(SubscriberTag.subscriber_id, Tag.name)
        .join(Tag, Tag.id == SubscriberTag.tag_id)
        .where(among(session, SubscriberTag.subscriber_id, ids))
        .order_by(Tag.name)
    ):
        found.setdefault(number, []).append(name)
    return found


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(value)
    return written(_plain(value))


def disarmed(cell: str) -> str:
    """No spreadsheet calculates it (OWASP ASVS 1.2.10), and an import takes the mark off again."""
    return f"'{cell}" if _FORMULA.match(cell) else cell

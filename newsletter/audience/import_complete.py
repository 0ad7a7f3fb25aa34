"""What an import adds to people who were there: what is unknown, or all with `overwrites`; tags.

Each change has its row in their history. What they said themselves is never touched.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.orm import Session

from newsletter.audience.attributes import written
from newsletter.audience.import_staging import staged, staged_tag
from newsletter.db import among, insert_or_ignore
from newsletter.models import (
    ChangeCause,
    Import,
    OwnField,
    Subscriber,
    SubscriberChange,
    SubscriberTag,
    Tag,
    Zone,
)

Change = tuple[int, str, str | None, str | None]
"""Whose, which field, and what it was and is, as a person would write it."""


def complete_people(session: Session, job: Import, *, now: datetime) -> None:
    rows = session.execute(_incomplete(session, replaces=job.overwrites)).all()
    news = {row.id: new for row in rows if (new := _news(row, replaces=job.overwrites))}
    if not news:
        return
    _mark_changed(session, list(news))
    if job.is_dry_run:
        return
    session.execute(update(Subscriber), [{"id": number, **new} for number, new in news.items()])
    zones = {zone.id: zone.name for zone in session.scalars(select(Zone))}
    changes = [
        change for row in rows if row.id in news for change in _changes(row, news[row.id], zones)
    ]
    _write_history(session, job, changes, now=now)


def tag_people(session: Session, job: Import, *, now: datetime) -> None:
    is_taken = exists().where(
        SubscriberTag.subscriber_id == staged.c.subscriber_id,
        SubscriberTag.tag_id == staged_tag.c.tag_id,
    )
    columns = (staged.c.subscriber_id, staged_tag.c.tag_id)
    wanted = (
        select(*columns)
        .join(staged_tag, staged_tag.c.line == staged.c.line)
        .where(
            staged.c.subscriber_id.is_not(None), not_(staged.c.is_blocked), not_(staged.c.is_repeat)
        )
    )
    gains: dict[int, set[int]] = {}
    for number, tag_id in session.execute(wanted.where(staged.c.is_known, not_(is_taken))):
        gains.setdefault(number, set()).add(tag_id)
    if gains:
        _mark_changed(session, list(gains))
    if job.is_dry_run:
        return
    if gains:
        _write_history(session, job, _tag_changes(session, gains), now=now)
    session.execute(
        insert_or_ignore(session, SubscriberTag).from_select(
            ["subscriber_id", "tag_id", "import_id"],
            wanted.add_columns(literal(job.id)).order_by(*columns),
        )
    )


def _incomplete(session: Session, *, replaces: bool) -> Select[Any]:
    is_news = [
        and_(
            _is_free(OwnField.NAME),
            staged.c.name != "",
            Subscriber.name != staged.c.name if replaces else Subscriber.name == "",
        ),
        and_(_is_free(OwnField.ATTRIBUTES), staged.c.attributes.is_not(None), _may_differ(session)),
    ]
    for column, new, own in (
        (Subscriber.zone_id, staged.c.zone_id, OwnField.ZONE),
        (Subscriber.language, staged.c.language, OwnField.LANGUAGE),
    ):
        is_gap = or_(column.is_(None), column != new) if replaces else column.is_(None)
        is_news.append(and_(_is_free(own), new.is_not(None), is_gap))
    return (
        select(
            Subscriber.id,
            Subscriber.name,
            Subscriber.zone_id,
            Subscriber.language,
            Subscriber.attributes,
            Subscriber.own_fields,
            staged.c.name.label("new_name"),
            staged.c.zone_id.label("new_zone"),
            staged.c.language.label("new_language"),
            staged.c.attributes.label("new_attributes"),
        )
        .join(staged, staged.c.subscriber_id == Subscriber.id)
        .where(
            staged.c.is_known,
            not_(staged.c.is_blocked),
            not_(staged.c.is_repeat),
            or_(*is_news),
        )
        .order_by(Subscriber.id)
        .with_for_update(of=Subscriber)
    )


def _is_free(field: OwnField) -> ColumnElement[bool]:
    """The person did not set it last; what they emptied themselves is not unknown either."""
    return Subscriber.own_fields.bitwise_and(int(field)) == 0


def _may_differ(session: Session) -> ColumnElement[bool]:
    """Only a sieve, where the store has one, so that not every row is fetched and locked."""
    if session.get_bind().dialect.name == "postgresql":
        return not_(Subscriber.attributes.bool_op("@>")(staged.c.attributes))
    return true()


def _news(row: Any, *, replaces: bool) -> dict[str, Any]:
    """What becomes of the person's columns; empty when nothing does."""
    own = OwnField(row.own_fields)
    new: dict[str, Any] = {}
    if row.new_name and (replaces or not row.name) and OwnField.NAME not in own:
        new["name"] = row.new_name
    if row.new_zone and (replaces or row.zone_id is None) and OwnField.ZONE not in own:
        new["zone_id"] = row.new_zone
    if row.new_language and (replaces or not row.language) and OwnField.LANGUAGE not in own:
        new["language"] = row.new_language
    if row.new_attributes and OwnField.ATTRIBUTES not in own:
        old, said = row.attributes, row.new_attributes
        new["attributes"] = old | said if replaces else said | old
    return {column: value for column, value in new.items() if getattr(row, column) != value}


def _changes(row: Any, new: Mapping[str, Any], zones: Mapping[int, str]) -> Iterator[Change]:
    if "name" in new:
        yield row.id, "name", row.name or None, new["name"]
    if "language" in new:
        yield row.id, "language", row.language, new["language"]
    if "zone_id" in new:
        yield row.id, "zone", zones.get(row.zone_id), zones[new["zone_id"]]
    for key, value in new.get("attributes", {}).items():
        before = row.attributes.get(key)
        if before != value:
            said = None if before is None else written(before)
            yield row.id, f"attribute {key}", said, written(value)


def _tag_changes(session: Session, gains: Mapping[int, set[int]]) -> Iterator[Change]:
    names = {
        tag.id: tag.name
        for tag in session.scalars(select(Tag).where(Tag.id.in_(set().union(*gains.values()))))
    }
    had: dict[int, list[str]] = {}
    for number, name in session.execute(
        select(SubscriberTag.subscriber_id, Tag.name)
        .join(Tag, Tag.id == SubscriberTag.tag_id)
        .where(among(session, SubscriberTag.subscriber_id, list(gains)))
    ):
        had.setdefault(number, []).append(name)
    for number, gained in gains.items():
        before = sorted(had.get(number, []))
        after = sorted({*before, *(names[tag_id] for tag_id in gained)})
        yield number, "tags", ", ".join(before) or None, ", ".join(after)


def _mark_changed(session: Session, ids: Sequence[int]) -> None:
    session.execute(
        update(staged).where(among(session, staged.c.subscriber_id, ids)).values(is_changed=true())
    )


def _write_history(
    session: Session, job: Import, changes: Iterable[Change], *, now: datetime
) -> None:
    session.execute(
        insert(SubscriberChange),
        [
            {
                "subscriber_id": number,
                "at": now,
                "field": name,
                "before": before,
                "after": after,
                "cause": ChangeCause.IMPORT,
                "by": job.by,
                "reference": f"import {job.id}",
            }
            for number, name, before, after in changes
        ],
    )

"""Tags: puts words on people, and takes them off again."""

import csv
from collections.abc import Collection, Iterable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from newsletter.audience.directory import Numbers
from newsletter.audience.fields import read_line, refuse
from newsletter.audience.history import Origin, record_changes
from newsletter.audience.subscribers import get_subscriber
from newsletter.db import insert_or_ignore
from newsletter.models import LONGEST_TAG, SubscriberTag, Tag

MOST_TAGS = 100


def tags_of(session: Session, subscriber_id: int) -> list[str]:
    return list(
        session.scalars(
            select(Tag.name)
            .join(SubscriberTag, SubscriberTag.tag_id == Tag.id)
            .where(SubscriberTag.subscriber_id == subscriber_id)
            .order_by(Tag.name)
        )
    )


def list_tags(session: Session, *, after: str = "", limit: int = 100) -> list[str]:
    """All that there are, in order; those behind `after`."""
    return list(
        session.scalars(select(Tag.name).where(Tag.name > after).order_by(Tag.name).limit(limit))
    )


def set_tags(
    session: Session,
    subscriber_id: int,
    names: Iterable[str],
    *,
    origin: Origin,
    now: datetime,
) -> list[str]:
    """These tags and no others; returns them in order. Raises `InputError` and `NotFoundError`."""
    wanted = sorted({read_tag(name) for name in names})
    if len(wanted) > MOST_TAGS:
        refuse("tags", "a person has at most {most}", most=MOST_TAGS)
    get_subscriber(session, subscriber_id)
    before = tags_of(session, subscriber_id)
    ids = Numbers(Tag).of(session, wanted)
    session.execute(
        delete(SubscriberTag).where(
            SubscriberTag.subscriber_id == subscriber_id,
            SubscriberTag.tag_id.not_in(ids.values()),
        )
    )
    if ids:
        session.execute(
            insert_or_ignore(session, SubscriberTag),
            [{"tag_id": tag_id, "subscriber_id": subscriber_id} for tag_id in ids.values()],
        )
    record_changes(
        session, subscriber_id, _written(before), _written(wanted), origin=origin, now=now
    )
    return wanted


def read_tag(text: str) -> str:
    """A tag as it is kept: in lower case and without commas, which stand between tags in files."""
    if "," in text:
        refuse("tags", "write each without a comma in it")
    return read_line("tags", text.casefold(), longest=LONGEST_TAG)


def read_tags(text: str) -> tuple[str, ...]:
    """Tags with commas between them, and quotes around them or not. Raises `InputError`."""
    tags = next(csv.reader([text], skipinitialspace=True), [])
    return tuple(dict.fromkeys(read_tag(tag) for tag in tags if tag.strip()))


def _written(tags: Collection[str]) -> dict[str, str]:
    return {"tags": ", ".join(tags)} if tags else {}

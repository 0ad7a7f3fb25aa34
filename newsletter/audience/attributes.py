"""Attributes: which an installation keeps about its people, and what may stand in each."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.fields import read_date, read_key, read_line, refuse
from newsletter.db import insert_or_ignore, locked
from newsletter.errors import NotFoundError
from newsletter.models import Attribute, AttributeKind
from newsletter.words import Words

MOST_CHOICES = 200
LONGEST_TEXT = 500
LONGEST_LABEL = 120
_GREATEST_NUMBER = 10**15  # beyond it a double no longer tells neighbours apart
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "1", "on"), True),
    **dict.fromkeys(("false", "no", "0", "off"), False),
}


def add_attribute(
    session: Session,
    key: str,
    kind: AttributeKind,
    *,
    label: str,
    choices: Sequence[str] = (),
    now: datetime,
) -> Attribute:
    """Raises `InputError`. The key and the kind stay for good: values of people depend on them."""
    made: Attribute | None = session.scalar(
        insert_or_ignore(session, Attribute)
        .values(
            key=read_key("key", key),
            kind=kind,
            label=read_line("label", label, longest=LONGEST_LABEL),
            choices=_read_choices(kind, choices),
            created_at=now,
        )
        .returning(Attribute)
    )
    if made is None:
        refuse("key", "there is an attribute called {key} already; choose another key", key=key)
    return made


def all_attributes(session: Session) -> list[Attribute]:
    return list(session.scalars(select(Attribute).order_by(Attribute.key)))


def retire_attribute(session: Session, key: str, *, now: datetime) -> Attribute:
    """Take no new values; those that people have stay. Raises `NotFoundError`."""
    attribute = locked(session, Attribute, key)
    if attribute is None:
        raise NotFoundError(
            "There is no attribute called {key!r}; {hint}",
            key=key,
            hint=_known(all_attributes(session)),
        )
    if attribute.retired_at is None:
        attribute.retired_at = now
    return attribute


def change_attributes(
    session: Session, values: Mapping[str, Any], changes: Mapping[str, object]
) -> dict[str, Any]:
    """`values` with `changes` over them; None and empty text take a value away.

    Raises `InputError`, which names the attribute.
    """
    schema = {attribute.key: attribute for attribute in all_attributes(session)}
    changed = dict(values)
    for key, value in changes.items():
        attribute = schema.get(key)
        if attribute is None:
            refuse(
                f"attribute {key}",
                "there is none of that name; {hint}",
                hint=_known(schema.values()),
            )
        if value is None or value == "":
            changed.pop(key, None)
        elif attribute.retired_at is not None:
            refuse(f"attribute {key}", "it is retired and takes no new values")
        else:
            changed[key] = read_value(attribute, value)
    return changed


def read_value(attribute: Attribute, value: object) -> str | float | bool:
    """The value as it is kept, from text or from what JSON has. Raises `InputError`."""
    field = f"attribute {attribute.key}"
    match attribute.kind:
        case AttributeKind.TEXT:
            return read_line(field, _text(field, value), longest=LONGEST_TEXT)
        case AttributeKind.NUMBER:
            return _read_number(field, value)
        case AttributeKind.BOOLEAN:
            return _read_boolean(field, value)
        case AttributeKind.DATE:
            return read_date(field, _text(field, value)).isoformat()
        case AttributeKind.CHOICE:
            return _read_choice(field, _text(field, value), attribute.choices)
        case _:
            assert_never(attribute.kind)


def written(value: object) -> str:
    """A kept value as a person would write it; `read_value` reads it again."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _read_choices(kind: AttributeKind, choices: Sequence[str]) -> list[str]:
    read = [read_line("choices", choice, longest=LONGEST_TEXT) for choice in choices]
    if kind is not AttributeKind.CHOICE:
        if read:
            refuse("choices", "an attribute of the kind {kind} has none", kind=kind)
        return []
    if not read or len(read) > MOST_CHOICES:
        refuse("choices", "name 1 to {most} of them", most=MOST_CHOICES)
    if len({choice.casefold() for choice in read}) < len(read):
        refuse("choices", "two of them differ in capitals at most; name each once")
    return read


def _known(attributes: Iterable[Attribute]) -> Words:
    keys = [attribute.key for attribute in attributes if attribute.retired_at is None]
    if not keys:
        return Words("make it with: newsletter attribute add")
    return Words("there are: {known}", known=", ".join(keys))


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        refuse(field, "write a text")
    return value


def _read_number(field: str, value: object) -> int | float:
    advice = Words("write a number like 12 or 3.5, with a point and without a unit")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        refuse(field, advice)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        refuse(field, advice)
    if not math.isfinite(number) or abs(number) > _GREATEST_NUMBER:
        refuse(
            field, "write a number between -{greatest} and {greatest}", greatest=_GREATEST_NUMBER
        )
    return int(number) if number.is_integer() else number


def _read_boolean(field: str, value: object) -> bool:
    if isinstance(value, bool):
        return value
    meant = _BOOLEANS.get(_text(field, value).strip().casefold())
    if meant is None:
        refuse(field, "write yes or no")
    return meant


def _read_choice(field: str, text: str, choices: Sequence[str]) -> str:
    by_folded = {choice.casefold(): choice for choice in choices}
    chosen = by_folded.get(" ".join(text.split()).casefold())
    if chosen is None:
        refuse(field, "write one of: {choices}", choices=", ".join(choices))
    return chosen

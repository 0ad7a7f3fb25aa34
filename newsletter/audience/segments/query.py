"""From a condition to the people it holds for: a `Select` of subscriber ids, never SQL text.

No value reaches the database but as a parameter, and no name but one that was found in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, assert_never

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from newsletter.audience.attributes import all_attributes
from newsletter.audience.segments.conditions import (
    Activity,
    Ahead,
    Both,
    Calendar,
    Compared,
    Condition,
    Dated,
    Deed,
    Either,
    Field,
    Kind,
    Known,
    Like,
    Likeness,
    Membership,
    Not,
    OfEdition,
    OfList,
    OneOf,
    Period,
    Recent,
    Side,
    Sign,
    Simple,
    Standing,
    Tagged,
    parts_of,
)
from newsletter.audience.segments.language import QueryError, read_condition, vocabulary
from newsletter.models import (
    Delivery,
    DeliveryState,
    Domain,
    Edition,
    EditionList,
    Engagement,
    MailingList,
    Subscriber,
    SubscriberTag,
    Subscription,
    SubscriptionStatus,
    Tag,
    Tracking,
    Zone,
)

OPEN = 0
"""The link that stands for the open in `engagement`."""

_DAY = timedelta(days=1)
_NEWEST = 60
_SETTLED_WITHIN = timedelta(days=2)
"""How long after an edition's end a delivery in doubt may still become one that was sent."""

_Truth = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Segmented:
    """A condition over `Subscriber`, for whoever counts or selects people."""

    condition: Condition
    holds: _Truth
    """Never NULL."""
    notes: tuple[str, ...]
    """What a person should know who reads the figures."""

    @property
    def people(self) -> Select[int]:
        return select(Subscriber.id).where(self.holds)


def segmented(session: Session, definition: str, *, now: datetime) -> Segmented:
    """The people of a definition, with `now` as the end of its periods.

    Raises `QueryError`, also for a list, tag or edition that there is not.
    """
    condition = read_condition(definition, vocabulary(all_attributes(session)))
    names = _look_up(session, parts_of(condition))
    return Segmented(condition, _Query(names, now).of(condition), tuple(_notes(names, condition)))


@dataclass(frozen=True, slots=True)
class _Names:
    """What the names and numbers in a condition stand for."""

    lists: Mapping[str, MailingList]
    tags: Mapping[str, int]
    zones: Mapping[str, int]
    editions: Mapping[int, "_Begun"]
    """Every edition that was ever begun, the newest first."""


@dataclass(frozen=True, slots=True)
class _Begun:
    started_at: datetime
    finished_at: datetime | None
    lists: list[int]

    def may_have_sent(self, begin: datetime | None, end: datetime | None) -> bool:
        is_before = end is not None and self.started_at >= end
        is_behind = (
            begin is not None
            and self.finished_at is not None
            and self.finished_at + _SETTLED_WITHIN < begin
        )
        return not (is_before or is_behind)


def _look_up(session: Session, simples: Sequence[Simple]) -> _Names:
    lists = {each.slug: each for each in session.scalars(select(MailingList))}
    tags = _ids(session, Tag, {each.tag for each in simples if isinstance(each, Tagged)})
    zones = _ids(session, Zone, set(_values(simples, Kind.ZONE)))
    for each in simples:
        _refuse_unknown(session, each, lists, tags)
    has_activity = any(isinstance(each, Activity) for each in simples)
    return _Names(lists, tags, zones, _begun(session) if has_activity else {})


def _ids(session: Session, table: type[Tag] | type[Zone], names: set[str]) -> dict[str, int]:
    if not names:
        return {}
    found = session.execute(select(table.name, table.id).where(table.name.in_(names)))
    return dict(found.all())


def _values(simples: Iterable[Simple], kind: Kind) -> Iterable[str]:
    for each in simples:
        if isinstance(each, OneOf) and each.field.kind is kind:
            yield from map(str, each.values)


def _refuse_unknown(
    session: Session, simple: Simple, lists: Mapping[str, MailingList], tags: Mapping[str, int]
) -> None:
    match simple:
        case Tagged(tag, column) if tag not in tags:
            raise QueryError('expected a tag that somebody had, found "{tag}"', column, tag=tag)
        case Membership(_, OfList(slug, column)) | Activity(_, OfList(slug, column)):
            if slug not in lists:
                known = ", ".join(sorted(lists)) or "none yet"
                raise QueryError(
                    'expected a list (there are: {known}), found "{slug}"',
                    column,
                    known=known,
                    slug=slug,
                )
        case Activity(_, OfEdition(edition_id, column)):
            if session.get(Edition, edition_id) is None:
                raise QueryError(
                    "expected an edition's number, and there is no edition {edition}",
                    column,
                    edition=edition_id,
                )


def _begun(session: Session) -> dict[int, _Begun]:
    begun: dict[int, _Begun] = {}
    for edition_id, started_at, finished_at, list_id in session.execute(
        select(Edition.id, Edition.started_at, Edition.finished_at, EditionList.list_id)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(Edition.started_at.is_not(None))
        .order_by(Edition.id.desc())
    ):
        assert started_at is not None
        edition = begun.setdefault(edition_id, _Begun(started_at, finished_at, []))
        edition.lists.append(list_id)
    return begun


class _Query:
    """Turns conditions into SQL; each part is true or false and never NULL."""

    def __init__(self, names: _Names, now: datetime) -> None:
        self._names = names
        self._now = now

    def of(self, condition: Condition) -> _Truth:
        match condition:
            case Either(parts):
                return or_(*(self.of(part) for part in parts))
            case Both(parts):
                return and_(*(self.of(part) for part in parts))
            case Not(part):
                return not_(self.of(part))
            case Known(field):
                return self._is_known(field)
            case OneOf(field, values):
                return _certain(self._is_one_of(field, values))
            case Like(field, likeness, text):
                return _certain(_is_like(_text(field), likeness, text))
            case Compared(field, sign, number):
                return _certain(_compared(_number(field), sign, number))
            case Dated(field, period):
                return _certain(self._is_dated(field, period))
            case Tagged(tag):
                return exists().where(
                    SubscriberTag.tag_id == self._names.tags[tag],
                    SubscriberTag.subscriber_id == Subscriber.id,
                )
            case Membership(standing, of, period):
                return self._is_member(standing, of, period)
            case Activity(Deed.RECEIVED):
                return self._received(condition)
            case Activity():
                return self._engaged(condition)
            case _:
                assert_never(condition)

    def _is_known(self, field: Field) -> _Truth:
        match field.kind:
            case Kind.LANGUAGE:
                return Subscriber.language.is_not(None)
            case Kind.ZONE:
                return Subscriber.zone_id.is_not(None)
            case Kind.DOMAIN | Kind.INSTANT:
                return Subscriber.id.is_not(None)
            case Kind.TEXT if not field.is_attribute:
                return Subscriber.name != ""
            case _:
                return _text(field).is_not(None)

    def _is_one_of(self, field: Field, values: Sequence[str | float | bool]) -> _Truth:
        match field.kind:
            case Kind.LANGUAGE:
                return or_(*(_speaks(str(value)) for value in values))
            case Kind.ZONE:
                ids = [self._names.zones[str(v)] for v in values if str(v) in self._names.zones]
                return Subscriber.zone_id.in_(ids)
            case Kind.DOMAIN:
                named = select(Domain.id).where(Domain.name.in_(values))
                return Subscriber.domain_id.in_(named)
            case Kind.NUMBER:
                return _number(field).in_(values)
            case Kind.BOOLEAN:
                is_true: ColumnElement[bool] = _attribute(field).as_boolean()
                return is_true.in_(values)
            case Kind.CHOICE:
                return _text(field).in_(values)
            case Kind.TEXT | Kind.DATE | Kind.INSTANT:
                # Folded by the database on both sides, which alone knows how it folds.
                folded = [func.lower(value) for value in values]
                return func.lower(_text(field)).in_(folded)
            case _:
                assert_never(field.kind)

    def _is_dated(self, field: Field, period: Period) -> _Truth:
        if field.kind is Kind.INSTANT:
            return self._lies_in(Subscriber.created_at, period)
        # Kept as text whose order is that of the days.
        kept, today = _text(field), self._now.astimezone(UTC).date()
        match period:
            case Calendar(side, day):
                return _beside(kept, side, day.isoformat())
            case Recent(days):
                return kept.between((today - days * _DAY).isoformat(), today.isoformat())
            case Ahead(days):
                return kept.between(today.isoformat(), (today + days * _DAY).isoformat())
            case _:
                assert_never(period)

    def _lies_in(self, column: InstrumentedAttribute[Any], period: Period | None) -> _Truth:
        begin, end = _span(period, self._now)
        bounds: list[_Truth] = [column.is_not(None)]
        if begin is not None:
            bounds.append(column >= begin)
        if end is not None:
            bounds.append(column < end)
        return and_(*bounds)

    def _is_member(self, standing: Standing, of: OfList, period: Period | None) -> _Truth:
        its: list[_Truth] = [
            Subscription.list_id == self._names.lists[of.slug].id,
            Subscription.subscriber_id == Subscriber.id,
        ]
        match standing:
            case Standing.ON:
                its.append(Subscription.status == SubscriptionStatus.CONFIRMED)
            case Standing.PENDING:
                its.append(Subscription.status == SubscriptionStatus.PENDING)
            case Standing.JOINED:
                its.append(self._lies_in(Subscription.joined_at, period))
            case Standing.LEFT:
                its.append(Subscription.status == SubscriptionStatus.UNSUBSCRIBED)
                if period is not None:
                    its.append(self._lies_in(Subscription.left_at, period))
            case _:
                assert_never(standing)
        return exists().where(*its)

    def _received(self, activity: Activity) -> _Truth:
        begin, end = _span(activity.period, self._now)
        editions = [
            edition_id
            for edition_id in self._editions(activity)
            if self._names.editions[edition_id].may_have_sent(begin, end)
        ]
        if not editions:
            return false()
        its: list[_Truth] = [
            Delivery.subscriber_id == Subscriber.id,
            Delivery.state == DeliveryState.SENT,
        ]
        if activity.period is not None:
            its.append(self._lies_in(Delivery.sent_at, activity.period))
        # Each by itself and the newest first: PostgreSQL then looks into one partition after the
        # other, and mostly finds it in the first.
        newest, older = editions[:_NEWEST], editions[_NEWEST:]
        places = [Delivery.edition_id == number for number in newest]
        if older:
            places.append(Delivery.edition_id.in_(older))
        return or_(*(exists().where(*its, place) for place in places))

    def _engaged(self, activity: Activity) -> _Truth:
        link = Engagement.link
        its: list[_Truth] = [
            Engagement.subscriber_id == Subscriber.id,
            link == OPEN if activity.deed is Deed.OPENED else link > OPEN,
        ]
        if activity.of is not None:
            its.append(Engagement.edition_id.in_(self._editions(activity)))
        if activity.period is not None:
            its.append(self._lies_in(Engagement.first_at, activity.period))
        return exists().where(*its)

    def _editions(self, activity: Activity) -> list[int]:
        begun = self._names.editions
        match activity.of:
            case OfEdition(edition_id):
                return [edition_id] if edition_id in begun else []
            case OfList(slug):
                list_id = self._names.lists[slug].id
                return [number for number, edition in begun.items() if list_id in edition.lists]
            case None:
                return list(begun)
            case _:
                assert_never(activity.of)


def _notes(names: _Names, condition: Condition) -> Iterable[str]:
    """Opens and clicks of lists that keep none of a person's."""
    said: dict[str, None] = {}
    for part in parts_of(condition):
        if isinstance(part, Activity) and part.deed is not Deed.RECEIVED:
            verb = "opens" if part.deed is Deed.OPENED else "clicks"
            said |= {_note(each, verb): None for each in _meant(names, part)}
    return said


def _note(mailing_list: MailingList, verb: str) -> str:
    return (
        f"The list {mailing_list.slug} keeps no {verb} of a person "
        f"(tracking: {mailing_list.tracking.value}), so that nobody counts by its mail."
    )


def _meant(names: _Names, activity: Activity) -> list[MailingList]:
    match activity.of:
        case OfList(slug):
            lists = [names.lists[slug]]
        case OfEdition(edition_id):
            begun = names.editions.get(edition_id)
            ids = begun.lists if begun else []
            lists = [each for each in names.lists.values() if each.id in ids]
        case None:
            lists = list(names.lists.values())
        case _:
            assert_never(activity.of)
    return [each for each in lists if each.tracking is not Tracking.FULL]


def _certain(holds: _Truth) -> _Truth:
    """False where the database knows nothing."""
    return func.coalesce(holds, false())


def _attribute(field: Field) -> Any:
    return Subscriber.attributes[field.name]


def _text(field: Field) -> ColumnElement[str]:
    if not field.is_attribute:
        return Subscriber.name.expression
    text: ColumnElement[str] = _attribute(field).as_string()
    return text


def _number(field: Field) -> ColumnElement[float]:
    number: ColumnElement[float] = _attribute(field).as_float()
    return number


def _is_like(column: ColumnElement[str], likeness: Likeness, text: str) -> _Truth:
    if likeness is Likeness.CONTAINS:
        return column.icontains(text, autoescape=True)
    return column.istartswith(text, autoescape=True)


def _compared(column: ColumnElement[Any], sign: Sign, number: float) -> _Truth:
    match sign:
        case Sign.LESS:
            return column < number
        case Sign.AT_MOST:
            return column <= number
        case Sign.MORE:
            return column > number
        case Sign.AT_LEAST:
            return column >= number
        case _:
            assert_never(sign)


def _beside(column: ColumnElement[str], side: Side, day: str) -> _Truth:
    match side:
        case Side.BEFORE:
            return column < day
        case Side.AFTER:
            return column > day
        case Side.SINCE:
            return column >= day
        case Side.IS:
            return column == day
        case _:
            assert_never(side)


def _speaks(language: str) -> _Truth:
    """`en` is spoken by whoever chose en-GB as well."""
    spoken = func.lower(Subscriber.language)
    return or_(spoken == language, spoken.startswith(f"{language}-", autoescape=True))


def _span(period: Period | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The first instant in a period and the first behind it; None: there is none. Days are UTC's."""
    match period:
        case None:
            return None, None
        case Recent(days):
            return now - days * _DAY, None
        case Ahead(days):
            return now, now + days * _DAY
        case Calendar(side, day):
            begin, end = _midnight(day), _midnight(day + _DAY)
        case _:
            assert_never(period)
    match side:
        case Side.BEFORE:
            return None, begin
        case Side.SINCE:
            return begin, None
        case Side.AFTER:
            return end, None
        case Side.IS:
            return begin, end
        case _:
            assert_never(side)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)

"""What readers decide for themselves: lists, sections, language, hour, break; and taking it back."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Update, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.figures import Moves, note_moves
from newsletter.audience.history import Origin
from newsletter.audience.sections import hidden_among, sections_of, set_hidden_sections
from newsletter.audience.subscribers import (
    SubscriberChanges,
    SubscriberFields,
    edit_subscriber,
    get_subscriber,
    written_fields,
)
from newsletter.audience.suppression import is_suppressed
from newsletter.errors import TokenError
from newsletter.models import (
    ChangeCause,
    ConsentEvent,
    ConsentKind,
    LeavingReason,
    ListSection,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.tokens import ADDRESS_MARK_BYTES, PersonRef, UndoRef

LINK_LIFETIME = timedelta(hours=24)
"""How long a link opens what only its reader may see; whoever gets the mail later gets nothing."""
UNDO_LIFETIME = timedelta(hours=1)

ORIGIN = Origin(ChangeCause.PREFERENCES, "reader")

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class SectionChoice:
    section: ListSection
    is_wanted: bool


@dataclass(frozen=True, slots=True)
class ListChoice:
    """`sections` are those that can be hidden, and none for whoever is not on the list."""

    mailing_list: MailingList
    is_on: bool
    sections: tuple[SectionChoice, ...]


@dataclass(frozen=True, slots=True)
class Preferences:
    person: Subscriber
    fields: Mapping[str, str]
    """As `written_fields` has them."""
    lists: tuple[ListChoice, ...]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What somebody wants; of lists and sections that are not named nothing is changed."""

    fields: SubscriberFields
    lists: Mapping[str, bool]
    """By slug: whether they want to be on it."""
    sections: Mapping[str, Mapping[str, bool]]
    """By slug and key: whether they want it."""


def person_of(session: Session, ref: PersonRef, *, now: datetime) -> Subscriber:
    """Whom a mailed link was made for; raises `TokenError` when it is too old, or they moved."""
    person = session.get(Subscriber, ref.subscriber_id)
    is_fresh = ref.at <= now + _SECOND and now - ref.at < LINK_LIFETIME
    if (
        person is None
        or not is_fresh
        or person.address_hash[:ADDRESS_MARK_BYTES] != ref.address_mark
    ):
        raise TokenError("this link is good no more")
    return person


def preferences_of(session: Session, subscriber_id: int) -> Preferences:
    """Their own lists and those that anybody may join, by name. Raises `NotFoundError`."""
    person = get_subscriber(session, subscriber_id)
    rows = session.execute(
        select(MailingList, Subscription)
        .outerjoin(
            Subscription,
            (Subscription.list_id == MailingList.id)
            & (Subscription.subscriber_id == subscriber_id),
        )
        .where(
            MailingList.retired_at.is_(None),
            or_(MailingList.is_public, Subscription.status == SubscriptionStatus.CONFIRMED),
        )
        .order_by(func.lower(MailingList.name), MailingList.id)
    )
    lists = tuple(_choice(session, mailing_list, tie) for mailing_list, tie in rows)
    return Preferences(person, written_fields(session, person), lists)


def save_preferences(
    session: Session, subscriber_id: int, wishes: Wishes, *, now: datetime
) -> None:
    """Lists that they are not on and may not join by themselves are passed over in silence (S-05).

    Raises `InputError` for a field that cannot be read, `StateError` where they must not be mailed.
    """
    changes = cast("SubscriberChanges", wishes.fields)
    edit_subscriber(session, subscriber_id, changes, origin=ORIGIN, now=now)
    preferences = preferences_of(session, subscriber_id)
    for choice in preferences.lists:
        slug = choice.mailing_list.slug
        _save_list(
            session,
            preferences.person,
            choice,
            is_wanted=wishes.lists.get(slug, choice.is_on),
            sections=wishes.sections.get(slug, {}),
            now=now,
        )


def leave_everything(session: Session, subscriber_id: int, *, now: datetime) -> int:
    """Off every list, private and retired ones too; returns how many they left."""
    person = get_subscriber(session, subscriber_id)
    lists = session.scalars(
        select(MailingList)
        .join(Subscription, Subscription.list_id == MailingList.id)
        .where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.status != SubscriptionStatus.UNSUBSCRIBED,
        )
        .order_by(MailingList.id)
    ).all()
    left = [remove_from_list(session, person, each, origin=ORIGIN, now=now) for each in lists]
    return sum(left)


def undo_leaving(session: Session, ref: UndoRef, *, now: datetime) -> bool:
    """Take back this very leaving, as if it had not been; False when it is too late for that."""
    person = session.get(Subscriber, ref.subscriber_id)
    is_late = now - ref.left_at > UNDO_LIFETIME
    if (
        person is None
        or is_late
        or is_suppressed(session, person.address_hash, list_id=ref.list_id)
    ):
        return False
    restored = session.execute(
        _left(ref)
        .values(status=SubscriptionStatus.CONFIRMED, left_at=None, left_reason=None)
        .returning(Subscription.subscriber_id)
    ).one_or_none()
    if restored is None:
        return False
    note_moves(session, ref.list_id, Moves(left=-1), at=ref.left_at)
    session.add(
        ConsentEvent(
            subscriber_id=ref.subscriber_id,
            list_id=ref.list_id,
            kind=ConsentKind.CONFIRMED,
            at=now,
            evidence={"how": "undo", "left_at": ref.left_at.isoformat()},
        )
    )
    return True


def note_reason(session: Session, ref: UndoRef, reason: LeavingReason) -> None:
    """Why they left, if they say so; nothing of it is kept when they are back by now."""
    session.execute(_left(ref).values(left_reason=reason))


def leaving_reasons(session: Session, list_id: int) -> dict[LeavingReason, int]:
    """How many said what, the most frequent first."""
    people = func.count()
    rows = session.execute(
        select(Subscription.left_reason, people)
        .where(Subscription.list_id == list_id, Subscription.left_reason.is_not(None))
        .group_by(Subscription.left_reason)
        .order_by(people.desc(), Subscription.left_reason)
    )
    return {reason: count for reason, count in rows if reason is not None}


def _choice(session: Session, mailing_list: MailingList, tie: Subscription | None) -> ListChoice:
    if tie is None or tie.status is not SubscriptionStatus.CONFIRMED:
        return ListChoice(mailing_list, is_on=False, sections=())
    sections = sections_of(session, mailing_list.id)
    hidden = hidden_among(sections, tie.hidden_sections)
    choices = (
        SectionChoice(section, section not in hidden)
        for section in sections
        if not section.is_pinned
    )
    return ListChoice(mailing_list, is_on=True, sections=tuple(choices))


def _save_list(
    session: Session,
    person: Subscriber,
    choice: ListChoice,
    *,
    is_wanted: bool,
    sections: Mapping[str, bool],
    now: datetime,
) -> None:
    mailing_list = choice.mailing_list
    if not is_wanted:
        if choice.is_on:
            remove_from_list(session, person, mailing_list, origin=ORIGIN, now=now)
        return
    if not choice.is_on:
        # Their address is proven: the link was mailed to it.
        status = SubscriptionStatus.CONFIRMED
        subscribe(session, person, mailing_list, status, origin=ORIGIN, evidence={}, now=now)
        return
    hidden = _hidden(choice, sections)
    if hidden != _hidden(choice, {}):
        set_hidden_sections(session, mailing_list, person.id, hidden, origin=ORIGIN, now=now)


def _hidden(choice: ListChoice, wanted: Mapping[str, bool]) -> Collection[str]:
    return {
        each.section.key
        for each in choice.sections
        if not wanted.get(each.section.key, each.is_wanted)
    }


def _left(ref: UndoRef) -> Update:
    return update(Subscription).where(
        Subscription.list_id == ref.list_id,
        Subscription.subscriber_id == ref.subscriber_id,
        Subscription.status == SubscriptionStatus.UNSUBSCRIBED,
        Subscription.left_at >= ref.left_at,
        Subscription.left_at < ref.left_at + _SECOND,
    )

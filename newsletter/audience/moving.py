"""Another address for a person: both, the old one and the new, have to agree by mail (S-04)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from newsletter.addresses import Address, address_hash, mask_address, parse_address
from newsletter.audience.preferences import ORIGIN
from newsletter.audience.signup import new_reference
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import edit_subscriber
from newsletter.audience.suppression import is_suppressed
from newsletter.db import changed, locked, transaction
from newsletter.errors import InputError
from newsletter.models import (
    EVERYWHERE,
    AddressMove,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SystemMailKind,
)
from newsletter.outbox import post

LIFETIME = timedelta(hours=24)
MOST_A_DAY = 3
"""Of one person, and to one new address: nobody is to be bothered in somebody's name (S-02)."""
KEPT = timedelta(days=7)
"""How long it is known afterwards that somebody wanted to move."""


class Standing(Enum):
    WAITS = "waits"
    """For the other address."""
    DONE = "done"
    TAKEN = "taken"
    """The new address has a subscription of its own, or must not be mailed."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Move:
    standing: Standing
    other: str = ""
    """The other of the two addresses, masked."""
    language: str | None = None


GONE = Move(Standing.GONE)


def ask_to_move(
    session: Session, person: Subscriber, to: Address, *, links: Links, now: datetime
) -> None:
    """Mail both addresses; whatever is wrong with the new one, nobody is told by this.

    Nothing is mailed there when it is suppressed.
    """
    if to.key == person.address_key or _is_asked_enough(session, person, to, now):
        return
    move = AddressMove(
        reference=new_reference(),
        subscriber_id=person.id,
        new_address=str(to),
        new_hash=address_hash(to),
        asked_at=now,
    )
    session.add(move)
    session.flush()
    mailing_list = main_list(session, person)
    old = parse_address(person.address)
    _post(session, move, person, mailing_list, old, other=to, links=links, now=now)
    if not is_suppressed(session, to, list_id=EVERYWHERE):
        _post(session, move, person, mailing_list, to, other=old, links=links, now=now)


def look_at_move(session: Session, reference: str, *, is_new: bool, now: datetime) -> Move:
    """What the button behind the link would be for; pressing it may come to another standing."""
    move = session.get(AddressMove, reference)
    if move is None or now - move.asked_at >= LIFETIME:
        return GONE
    person = session.get_one(Subscriber, move.subscriber_id)
    other = mask_address(person.address if is_new else move.new_address)
    return Move(Standing.DONE if move.done_at else Standing.WAITS, other, person.language)


def agree_to_move(session: Session, reference: str, *, is_new: bool, now: datetime) -> Move:
    """The word of one of the two; with the second one the mail goes to the new address."""
    move = locked(session, AddressMove, reference)
    seen = look_at_move(session, reference, is_new=is_new, now=now)
    if move is None or seen.standing is not Standing.WAITS:
        return seen
    if is_new:
        move.new_agreed_at = move.new_agreed_at or now
    else:
        move.old_agreed_at = move.old_agreed_at or now
    if move.new_agreed_at is None or move.old_agreed_at is None:
        return seen
    if is_suppressed(session, move.new_hash, list_id=EVERYWHERE):
        return Move(Standing.TAKEN, seen.other, seen.language)
    try:
        edit_subscriber(
            session, move.subscriber_id, {"address": move.new_address}, origin=ORIGIN, now=now
        )
    except InputError:
        return Move(Standing.TAKEN, seen.other, seen.language)
    move.done_at = now
    return Move(Standing.DONE, seen.other, seen.language)


def forget_moves(engine: Engine, *, now: datetime) -> int:
    with transaction(engine) as session:
        return changed(session, delete(AddressMove).where(AddressMove.asked_at < now - KEPT))


def main_list(session: Session, person: Subscriber) -> MailingList | None:
    """The one that they have been on longest: their mails come from it."""
    return session.scalar(
        select(MailingList)
        .join(Subscription, Subscription.list_id == MailingList.id)
        .where(Subscription.subscriber_id == person.id)
        .order_by(
            (Subscription.status == SubscriptionStatus.CONFIRMED).desc(),
            Subscription.joined_at,
            MailingList.id,
        )
        .limit(1)
    )


def _is_asked_enough(session: Session, person: Subscriber, to: Address, now: datetime) -> bool:
    since = AddressMove.asked_at > now - timedelta(days=1)
    of_person = select(AddressMove.reference).where(AddressMove.subscriber_id == person.id, since)
    of_address = select(AddressMove.reference).where(
        AddressMove.new_hash == address_hash(to), since
    )
    return any(
        len(session.scalars(asked.limit(MOST_A_DAY)).all()) >= MOST_A_DAY
        for asked in (of_person, of_address)
    )


def _post(
    session: Session,
    move: AddressMove,
    person: Subscriber,
    mailing_list: MailingList | None,
    to: Address,
    *,
    other: Address,
    links: Links,
    now: datetime,
) -> None:
    is_new = str(to) == move.new_address
    house = mailing_list.language if mailing_list else "en"
    data: Mapping[str, Any] = {
        "language": person.language or house,
        "url": links.move(move.reference, is_new=is_new),
        "other": mask_address(str(other)),
        "is_new": is_new,
        "postal_address": mailing_list.postal_address if mailing_list else "",
    }
    list_id = mailing_list.id if mailing_list else None
    post(session, SystemMailKind.MOVE, to=to, data=data, list_id=list_id, now=now)

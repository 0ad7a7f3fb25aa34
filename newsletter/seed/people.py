"""The subscribers: names, addresses, zones, and when they came to their lists and left them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, insert, literal, select
from sqlalchemy.orm import Session

from newsletter.addresses import key_hash
from newsletter.db import insert_or_ignore
from newsletter.models import (
    EVERYWHERE,
    ConsentEvent,
    ConsentKind,
    Domain,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
    Zone,
)
from newsletter.seed.lists import LISTS
from newsletter.seed.loading import instants_of, load

CHANCE = 20_261_123
"""What the made-up people are drawn with."""
YEARS = timedelta(days=730)
SUPPRESSED_EACH = 97
"""Every so many-th subscriber's address is suppressed."""

_GIVEN = (
    *("Ada", "Bo", "Cy", "Dilnoza", "Emeka", "Fatima", "Goran", "Hana", "Inés", "Jun"),
    *("Kofi", "Leila", "Marek", "Noor", "Oskar", "Priya", "Quentin", "Rosa", "Sipho", "Thu"),
    *("Ulrika", "Vikram", "Wanda", "Ximena", "Yusuf", "Zofia", "明", "静"),
)
_FAMILY = (
    *("Abbott", "Bianchi", "Costa", "Dubois", "Eriksen", "Fischer", "García", "Haddad"),
    *("Ivanova", "Jensen", "Kowalska", "Lindqvist", "Moreau", "Nakamura", "Okafor", "Petrov"),
    *("Quist", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Weber", "Xu", "Yilmaz", "Zhang"),
)
_ZONES = (
    *("Europe/Berlin", "Europe/London", "Europe/Paris", "Europe/Madrid", "Europe/Warsaw"),
    *("America/New_York", "America/Chicago", "America/Los_Angeles", "America/Sao_Paulo"),
    *("Asia/Singapore", "Asia/Tokyo", "Asia/Kolkata", "Australia/Sydney", "Africa/Lagos"),
)
_LANGUAGES = ("en", "en", "en", "de", "fr", "zh", None)
_DOMAINS = tuple(f"mail{number}.example" for number in range(1, 41))


@dataclass(frozen=True, slots=True)
class _Tie:
    """What one person has with one list."""

    list_id: int
    subscriber_id: int
    status: SubscriptionStatus
    joined_at: datetime
    left_at: datetime | None


def make_people(session: Session, people: int, *, now: datetime) -> None:
    domains = _named(session, Domain, _DOMAINS)
    zones = _named(session, Zone, _ZONES)
    instant = instants_of(session)
    load(
        session,
        Subscriber,
        (
            *("address", "address_key", "address_hash", "domain_id", "zone_id", "language"),
            *("name", "attributes", "created_at"),
        ),
        _people(people, domains, zones, instant(now - YEARS)),
    )


def make_ties(
    session: Session, people: int, lists: Sequence[MailingList], *, now: datetime
) -> None:
    """Who is on which list; people have the numbers from 1 on."""
    instant = instants_of(session)
    rows = (
        (
            tie.list_id,
            tie.subscriber_id,
            int(tie.status),
            0,
            instant(tie.joined_at),
            None if tie.left_at is None else instant(tie.left_at),
        )
        for mailing_list, seed in zip(lists, LISTS, strict=True)
        for tie in _ties(mailing_list.id, people, seed.share, now)
    )
    columns = ("list_id", "subscriber_id", "status", "hidden_sections", "joined_at", "left_at")
    load(session, Subscription, columns, rows)
    _prove(session)
    _suppress(session, now)


def _named(session: Session, table: Any, names: Sequence[str]) -> list[int]:
    """The numbers of these rows, in the order of their names."""
    session.execute(insert_or_ignore(session, table), [{"name": name} for name in names])
    rows = session.execute(select(table.name, table.id).where(table.name.in_(names)))
    numbers: dict[str, int] = dict(rows.all())
    return [numbers[name] for name in names]


def _people(
    people: int, domains: Sequence[int], zones: Sequence[int], created_at: Any
) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(CHANCE)  # noqa: S311  nothing is kept secret by it
    for number in range(1, people + 1):
        given, family = chance.choice(_GIVEN), chance.choice(_FAMILY)
        # A few domains have most of the people.
        domain = int(len(_DOMAINS) * chance.random() ** 3)
        address = f"reader{number}@{_DOMAINS[domain]}"
        zone = zones[int(len(zones) * chance.random() ** 2)] if chance.random() < 0.8 else None
        yield (
            *(address, address, key_hash(address), domains[domain], zone),
            *(chance.choice(_LANGUAGES), f"{given} {family}", "{}", created_at),
        )


def _ties(list_id: int, people: int, share: int, now: datetime) -> Iterator[_Tie]:
    chance = random.Random(f"{CHANCE} {list_id}")  # noqa: S311  nothing is kept secret by it
    for number in range(1, people + 1):
        if chance.random() * 100 >= share:
            continue
        # More of them came lately: lists grow.
        joined_at = now - YEARS * chance.random() ** 1.1
        lot = chance.random()
        if lot < 0.04:
            left_at = joined_at + (now - joined_at) * chance.random()
            yield _Tie(list_id, number, SubscriptionStatus.UNSUBSCRIBED, joined_at, left_at)
        else:
            is_pending = lot < 0.05
            status = SubscriptionStatus.PENDING if is_pending else SubscriptionStatus.CONFIRMED
            yield _Tie(list_id, number, status, joined_at, None)


def _prove(session: Session) -> None:
    is_pending = Subscription.status == SubscriptionStatus.PENDING
    kinds = [
        literal(kind, ConsentEvent.kind.type)
        for kind in (ConsentKind.REQUESTED, ConsentKind.CONFIRMED)
    ]
    evidence = literal({"how": "form", "by": "reader"}, ConsentEvent.evidence.type)
    came = select(
        Subscription.subscriber_id,
        Subscription.list_id,
        case((is_pending, kinds[0]), else_=kinds[1]),
        Subscription.joined_at,
        evidence,
    )
    left = select(
        Subscription.subscriber_id,
        Subscription.list_id,
        literal(ConsentKind.UNSUBSCRIBED, ConsentEvent.kind.type),
        Subscription.left_at,
        evidence,
    ).where(Subscription.left_at.is_not(None))
    columns = ["subscriber_id", "list_id", "kind", "at", "evidence"]
    for rows in (came, left):
        session.execute(insert(ConsentEvent).from_select(columns, rows, include_defaults=False))


def _suppress(session: Session, now: datetime) -> None:
    reasons = [
        literal(reason, Suppression.reason.type)
        for reason in (SuppressionReason.BOUNCED, SuppressionReason.COMPLAINED)
    ]
    rows = select(
        Subscriber.address_hash,
        literal(EVERYWHERE),
        case((Subscriber.id % 5 == 0, reasons[1]), else_=reasons[0]),
        literal("seed"),
        literal(now, Suppression.created_at.type),
    ).where(Subscriber.id % SUPPRESSED_EACH == 0)
    columns = ["address_hash", "list_id", "reason", "source", "created_at"]
    session.execute(insert(Suppression).from_select(columns, rows, include_defaults=False))

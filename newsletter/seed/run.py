"""Seeds a database: lists, people, the editions of the past and those that are being made."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, exists, func, insert, select
from sqlalchemy.orm import Session

from newsletter.audience import figures
from newsletter.db import reading, transaction
from newsletter.deliver.ending import keep_sums
from newsletter.errors import StateError
from newsletter.models import (
    Edition,
    ListDayFigures,
    MailingList,
    Pacing,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Transport,
)
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import create_edition
from newsletter.plan.slots import fill_slot, slot_on
from newsletter.plan.transports import assign_transports, set_transport
from newsletter.seed.editions import BY, calendar, content_for, make_editions, make_figures
from newsletter.seed.ledger import make_deliveries
from newsletter.seed.lists import make_lists
from newsletter.seed.people import make_people, make_ties
from newsletter.settings import Settings

WITH_ROWS = 3
"""So many of the newest editions have a row for each reader; what was before was deleted in time."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Seeded:
    subscribers: int
    editions: int
    seconds: float


def seed(
    engine: Engine,
    *,
    subscribers: int,
    editions: int,
    settings: Settings,
    now: datetime,
    tell: Tell = lambda _: None,
) -> Seeded:
    """Raises `StateError` for a database that holds a list, a person or an edition."""
    began_at = time.monotonic()
    _refuse_what_is_used(engine)
    past = calendar(editions, now=now)
    with transaction(engine) as session:
        lists = make_lists(session, now=past[0].at if past else now)
        transport = _transport(session, lists)
    tell(f"making {subscribers:,} subscribers")
    with transaction(engine) as session:
        make_people(session, subscribers, now=now)
    tell("putting them on their lists")
    with transaction(engine) as session:
        make_ties(session, subscribers, lists, now=now)
    _analyse(engine)
    tell(f"making {editions:,} editions")
    with transaction(engine) as session:
        ids = make_editions(session, past, lists, transport, settings=settings)
    made = list(zip(ids, past, strict=True))
    with transaction(engine) as session:
        for edition_id, each in made[:-WITH_ROWS]:
            make_figures(session, edition_id, each, lists[each.place], subscribers)
    for edition_id, each in made[-WITH_ROWS:]:
        tell(f"making the deliveries of edition {edition_id}")
        with transaction(engine) as session:
            make_deliveries(session, edition_id, lists[each.place], each.at, now=now)
    tell("counting")
    with transaction(engine) as session:
        figures.count_again(session)
        _count_days(session)
        keep_sums(session, ids)
        _make_drafts(session, lists, settings, now)
    _analyse(engine)
    return Seeded(subscribers, editions, time.monotonic() - began_at)


def _refuse_what_is_used(engine: Engine) -> None:
    with reading(engine) as session:
        for table, name in ((MailingList, "lists"), (Subscriber, "people"), (Edition, "editions")):
            if session.scalar(select(exists().select_from(table))):
                raise StateError(
                    "This database holds {name} already, and none is seeded over another. Point "
                    "NEWSLETTER_DATABASE_URL at an empty one.",
                    name=name,
                )


def _transport(session: Session, lists: list[MailingList]) -> Transport:
    transport = set_transport(
        session, "relay", "smtp://127.0.0.1:2525", connections=10, pacing=Pacing.RELAY
    )
    for each in lists:
        assign_transports(session, each, [transport])
    return transport


def _count_days(session: Session) -> None:
    """From when the subscriptions say that people came and went; in days of UTC, near enough."""
    is_postgres = session.get_bind().dialect.name == "postgresql"
    counts = defaultdict[tuple[int, date], Counter[str]](Counter)
    for name, moment in (("joined", Subscription.joined_at), ("left", Subscription.left_at)):
        of_utc = func.date(func.timezone("UTC", moment)) if is_postgres else func.date(moment)
        rows = session.execute(
            select(Subscription.list_id, of_utc, func.count())
            .where(Subscription.status != SubscriptionStatus.PENDING, moment.is_not(None))
            .group_by(Subscription.list_id, of_utc)
        )
        for list_id, of_day, people in rows:
            found = date.fromisoformat(of_day) if isinstance(of_day, str) else of_day
            counts[list_id, found][name] = people
    session.execute(
        insert(ListDayFigures),
        [
            {
                "list_id": list_id,
                "day": day,
                "joined": moves["joined"],
                "imported": 0,
                "left": moves["left"],
                "removed": 0,
            }
            for (list_id, day), moves in counts.items()
        ],
    )


def _make_drafts(
    session: Session, lists: list[MailingList], settings: Settings, now: datetime
) -> None:
    """For the next slots: of the first list one that is being written, of the second an approved one."""
    for place in (0, 1):
        day = _next_day(session, lists[place], now)
        edition = create_edition(
            session,
            content_for(place, day),
            lists=[lists[place]],
            settings=settings,
            created_by=BY,
            now=now,
        )
        fill_slot(session, lists[place], day, edition.id, now=now)
        if place:
            approve_edition(
                session, edition.id, approved_by="Bo Bianchi", settings=settings, now=now
            )


def _next_day(session: Session, mailing_list: MailingList, now: datetime) -> date:
    days = (now.date() + timedelta(days=number) for number in range(1, 8))
    return next(day for day in days if slot_on(session, mailing_list.id, day) is not None)


def _analyse(engine: Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        is_postgres = connection.dialect.name == "postgresql"
        connection.exec_driver_sql("VACUUM ANALYZE" if is_postgres else "ANALYZE")

"""A small newsroom to test with: a list, its readers, a transport, and an edition ready to go."""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
from sqlalchemy import Engine, func, select

from newsletter.addresses import address_hash, parse_address
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.db import insert_or_ignore, reading, transaction
from newsletter.devmail.peer import DevMail
from newsletter.models import (
    Attempt,
    Batch,
    BatchState,
    Deferral,
    Delivery,
    DeliveryState,
    Domain,
    Edition,
    EditionState,
    ExclusionFigures,
    MailingList,
    Pacing,
    Security,
    Settlement,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Transport,
    Zone,
)
from newsletter.plan import schedule
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.planner import plan_edition
from newsletter.queue import _producer
from newsletter.report.editions import edition_status
from newsletter.settings import Settings, get_settings

MORNING = datetime(2026, 11, 20, 6, tzinfo=UTC)


def a_briefing(stories: int = 2) -> Briefing:
    return Briefing(
        title="Harbour Reopens After the Storm",
        series="Harbour Brief",
        date=date(2026, 11, 20),
        intro=((Span("Good morning. The harbour is open again."),),),
        key_points=(KeyPoint("The harbour reopens.", 1),),
        sections=(
            Section(
                "Port",
                tuple(
                    Story(
                        headline=f"Story number {number} of the port",
                        paragraphs=((Span(f"What happened in story {number}. " * 6),),),
                        source="Harbour Gazette",
                    )
                    for number in range(1, stories + 1)
                ),
            ),
        ),
    )


def settings_for(state_dir: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "state_dir": state_dir,
        "base_url": "http://127.0.0.1:8000",
        "mail_domain": "mail.harbour.example",
        "dot_timeout_seconds": 5.0,
        "lease_seconds": 5.0,
    }
    return Settings(**(values | changes))


def add_transport(engine: Engine, port: int, *, connections: int = 4) -> int:
    with transaction(engine) as session:
        transport = Transport(
            name="devmail",
            host="127.0.0.1",
            port=port,
            security=Security.NONE,
            connections=connections,
            pacing=Pacing.RELAY,
        )
        session.add(transport)
        session.flush()
        return transport.id


def add_list(engine: Engine, slug: str = "harbour") -> int:
    with transaction(engine) as session:
        mailing_list = MailingList(
            slug=slug,
            name=f"The {slug.title()} Brief",
            sender_name=f"The {slug.title()} Brief",
            sender_address="brief@harbour.example",
            postal_address="1 Quay Street, Harbour City",
            created_at=MORNING,
        )
        session.add(mailing_list)
        session.flush()
        return mailing_list.id


def add_readers(
    engine: Engine,
    list_id: int,
    names: Iterable[str],
    *,
    status: SubscriptionStatus = SubscriptionStatus.CONFIRMED,
) -> list[int]:
    """Readers called `names`, mailed at name@readers.example; returns their ids, in order."""
    ids = []
    with transaction(engine) as session:
        domain = session.query(Domain).filter_by(name="readers.example").one_or_none()
        if domain is None:
            domain = Domain(name="readers.example")
            session.add(domain)
            session.flush()
        for name in names:
            address = parse_address(f"{name.lower()}@readers.example")
            reader = Subscriber(
                address=str(address),
                address_key=address.key,
                address_hash=address_hash(address),
                domain_id=domain.id,
                name=name,
                created_at=MORNING,
            )
            session.add(reader)
            session.flush()
            session.add(
                Subscription(
                    list_id=list_id, subscriber_id=reader.id, status=status, joined_at=MORNING
                )
            )
            ids.append(reader.id)
    return ids


def approved_edition(
    engine: Engine, settings: Settings, list_ids: Iterable[int], transport_id: int
) -> int:
    """An edition that was approved without the checks, which have tests of their own."""
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), "text"),
            lists=[session.get_one(MailingList, list_id) for list_id in list_ids],
            settings=settings,
            created_by="Ed",
            now=MORNING,
        )
        edition.state = EditionState.APPROVED
        edition.approved_revision = edition.revision
        edition.transport_id = transport_id
        return edition.id


def sending_edition(
    engine: Engine, settings: Settings, list_ids: Iterable[int], transport_id: int
) -> int:
    """An edition whose deliveries are planned and due."""
    edition_id = approved_edition(engine, settings, list_ids, transport_id)
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=MORNING)
    plan_edition(engine, edition_id, now=MORNING)
    return edition_id


def subscribe(
    engine: Engine,
    list_id: int,
    subscriber_ids: Iterable[int],
    *,
    status: SubscriptionStatus = SubscriptionStatus.CONFIRMED,
) -> None:
    """Put people who are on one list already on another one as well."""
    with transaction(engine) as session:
        for subscriber_id in subscriber_ids:
            session.add(
                Subscription(
                    list_id=list_id, subscriber_id=subscriber_id, status=status, joined_at=MORNING
                )
            )


def live_in(engine: Engine, zone: str, subscriber_ids: Iterable[int]) -> None:
    with transaction(engine) as session:
        session.execute(insert_or_ignore(session, Zone).values(name=zone))
        zone_id = session.scalar(select(Zone.id).where(Zone.name == zone))
        for subscriber_id in subscriber_ids:
            session.get_one(Subscriber, subscriber_id).zone_id = zone_id


def leave(engine: Engine, list_id: int, subscriber_id: int) -> None:
    with transaction(engine) as session:
        subscription = session.get_one(Subscription, (list_id, subscriber_id))
        subscription.status = SubscriptionStatus.UNSUBSCRIBED


def states_of(engine: Engine, edition_id: int) -> dict[int, DeliveryState]:
    """The state of each subscriber's delivery."""
    with reading(engine) as session:
        rows = session.execute(
            select(Delivery.subscriber_id, Delivery.state).where(Delivery.edition_id == edition_id)
        )
        return {row[0]: row[1] for row in rows}


def count_states(engine: Engine, edition_id: int) -> dict[DeliveryState, int]:
    return dict(Counter(states_of(engine, edition_id).values()))


def edition_of(engine: Engine, edition_id: int) -> Edition:
    with reading(engine) as session:
        return session.get_one(Edition, edition_id)


def assert_ledger_is_exact(engine: Engine, edition_id: int, peer: DevMail | None = None) -> None:
    """The invariants I1, I2, I5 and I6: rows, counters and what the mail server witnessed agree."""
    with reading(engine) as session:
        rows = session.scalars(select(Delivery).where(Delivery.edition_id == edition_id)).all()
        batches = session.scalars(select(Batch).where(Batch.edition_id == edition_id)).all()
        deferrals = session.scalars(select(Deferral).where(Deferral.edition_id == edition_id)).all()
        excluded = session.scalars(
            select(ExclusionFigures).where(ExclusionFigures.edition_id == edition_id)
        ).all()
        tried = set(
            session.scalars(select(Attempt.subscriber_id).where(Attempt.edition_id == edition_id))
        )
        settled = set(
            session.scalars(
                select(Settlement.subscriber_id).where(Settlement.edition_id == edition_id)
            )
        )
        status = edition_status(session, edition_id)
        addresses = {
            address: subscriber_id
            for subscriber_id, address in session.execute(select(Subscriber.id, Subscriber.address))
        }
    _assert_counters_agree(rows, batches)
    assert status.planned == len(rows)
    assert status.waiting == sum(row.state is DeliveryState.WAITING for row in rows)
    reasons = Counter(row.reason for row in rows if row.state is DeliveryState.EXCLUDED)
    assert reasons == {figure.reason: figure.people for figure in excluded}
    by_state: dict[DeliveryState, set[int]] = {state: set() for state in DeliveryState}
    for row in rows:
        by_state[row.state].add(row.subscriber_id)
    coming = {each.subscriber_id for each in deferrals if each.next_at is not None}
    released = {each.subscriber_id for each in deferrals} - coming
    assert coming == by_state[DeliveryState.DEFERRED]
    assert released <= by_state[DeliveryState.WAITING]
    not_well = (DeliveryState.DEFERRED, DeliveryState.FAILED, DeliveryState.UNCERTAIN)
    assert set().union(*(by_state[state] for state in not_well)) <= tried
    for row in rows:
        is_sent = row.state is DeliveryState.SENT
        assert (row.sent_at is not None) is is_sent
        is_accepted = row.code == 250 or row.subscriber_id in settled
        assert not is_sent or (is_accepted and row.revision is not None)
    if peer is None:
        return
    mailed = Counter(addresses[rcpt] for mail in peer.messages() for rcpt in mail.rcpt_to)
    assert [person for person, copies in mailed.items() if copies > 1] == [], "mailed twice"
    assert by_state[DeliveryState.SENT] <= set(mailed), "sent, but never accepted"
    assert set(mailed) <= by_state[DeliveryState.SENT] | by_state[DeliveryState.UNCERTAIN]


def _assert_counters_agree(rows: Iterable[Delivery], batches: Iterable[Batch]) -> None:
    counted: Counter[tuple[int, DeliveryState]] = Counter((row.batch, row.state) for row in rows)
    for batch in batches:
        here = {state: counted.pop((batch.number, state), 0) for state in DeliveryState}
        assert batch.people == sum(here.values()), f"people of batch {batch.number}"
        for state in set(DeliveryState) - {DeliveryState.WAITING}:
            assert getattr(batch, state.name.lower()) == here[state], (batch.number, state.name)
        assert batch.state is not BatchState.DONE or not here[DeliveryState.WAITING]
        assert batch.state is BatchState.CLAIMED or batch.intent_upto == 0
    assert not counted, "people without a batch"


def people_in(engine: Engine, edition_id: int, state: DeliveryState) -> int:
    with reading(engine) as session:
        return (
            session.scalar(
                select(func.count()).where(
                    Delivery.edition_id == edition_id, Delivery.state == state
                )
            )
            or 0
        )


@contextmanager
def ringing_at(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Doorbells of this process ring at that broker."""
    monkeypatch.setenv("NEWSLETTER_REDIS_URL", redis_url)
    get_settings.cache_clear()
    _producer.cache_clear()
    yield
    _producer().close()
    _producer.cache_clear()
    monkeypatch.undo()
    get_settings.cache_clear()


def rung(redis: "redis_client.Redis", queue: str) -> list[tuple[str, dict[str, Any]]]:
    """The bells that wait in a queue, oldest first: which job, and its arguments."""
    raw: Any = redis.lrange(queue, 0, -1)
    bells = [json.loads(each) for each in reversed(raw)]
    return [(bell["headers"]["task"], _arguments(bell)) for bell in bells]


def _arguments(bell: dict[str, Any]) -> dict[str, Any]:
    _, arguments, _ = json.loads(base64.b64decode(bell["body"]))
    assert isinstance(arguments, dict)
    return arguments

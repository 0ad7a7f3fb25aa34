"""A small newsroom to test with: a list, its readers, a transport, and an edition ready to go."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from newsletter.addresses import address_hash, parse_address
from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.db import transaction
from newsletter.models import (
    Domain,
    MailingList,
    Security,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    Transport,
)
from newsletter.plan import schedule
from newsletter.plan.editions import content_of, create_edition
from newsletter.plan.planner import plan_edition
from newsletter.settings import Settings

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
    values = {
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
        edition.state = schedule.EditionState.APPROVED
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

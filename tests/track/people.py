"""Ada and Bo read the Morning list; Ada reads the Evening list too. Edition 1 was mailed to both."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, parse_address
from newsletter.db import transaction
from newsletter.models import (
    CompiledEdition,
    Delivery,
    DeliveryState,
    Domain,
    Edition,
    EditionFigures,
    EditionList,
    EditionState,
    Link,
    LinkFigures,
    MailingList,
    Revision,
    Subscriber,
    Subscription,
    SubscriptionStatus,
)
from newsletter.models.partitions import ensure_delivery_partition
from newsletter.tokens import DeliveryRef, SubscriptionRef

SEVEN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
PUBLIC_ID = "Xk3vQ9aTz7LmWd0RpY2cHe"
STORY = "https://source.example/story?id=1&page=2"


@dataclass(frozen=True, slots=True)
class Morning:
    """The ids of what `mailed_morning` wrote."""

    list_id: int
    other_list_id: int
    edition_id: int
    ada: int
    bo: int

    def delivery(self, subscriber_id: int) -> DeliveryRef:
        return DeliveryRef(self.edition_id, subscriber_id)

    def subscription(self, subscriber_id: int) -> SubscriptionRef:
        return SubscriptionRef(self.list_id, self.edition_id, subscriber_id)


def mailed_morning(engine: Engine, *, language: str = "en") -> Morning:
    with transaction(engine) as session:
        lists = [_list(session, name, language) for name in ("Morning", "Evening")]
        domain = Domain(name="readers.example")
        session.add(domain)
        session.flush()
        ada, bo = (_subscriber(session, name, domain) for name in ("ada", "bo"))
        for mailing_list, person in ((0, ada), (0, bo), (1, ada)):
            session.add(_subscription(lists[mailing_list].id, person.id))
        edition = _edition(session)
        session.add(EditionList(edition_id=edition.id, position=0, list_id=lists[0].id))
        for person in (ada, bo):
            session.add(_delivery(edition.id, lists[0].id, person.id))
        return Morning(lists[0].id, lists[1].id, edition.id, ada.id, bo.id)


def publish(engine: Engine, morning: Morning, form: bytes) -> None:
    """The edition's page is there; `form` is what was compiled."""
    with transaction(engine) as session:
        session.add(
            Revision(
                edition_id=morning.edition_id,
                number=1,
                briefing={},
                source_text="",
                subject="The morning",
                preheader="",
                content_hash="",
                created_at=SEVEN,
                created_by="Ed",
                approved_at=SEVEN,
            )
        )
        session.flush()
        session.add(
            CompiledEdition(
                edition_id=morning.edition_id, revision=1, list_id=morning.list_id, form=form
            )
        )


def edition_figures(engine: Engine, edition_id: int) -> tuple[int, int, int]:
    """(opens, clicks, unsubscribes)"""
    with Session(engine) as session:
        figures = session.get(EditionFigures, edition_id)
        return (figures.opens, figures.clicks, figures.unsubscribes) if figures else (0, 0, 0)


def link_figures(engine: Engine) -> dict[int, int]:
    with Session(engine) as session:
        figures = session.scalars(select(LinkFigures))
        return {link.number: link.clicks for link in figures}


def status_of(engine: Engine, list_id: int, subscriber_id: int) -> SubscriptionStatus:
    with Session(engine) as session:
        return session.get_one(Subscription, (list_id, subscriber_id)).status


def _list(session: Session, name: str, language: str) -> MailingList:
    mailing_list = MailingList(
        slug=name.lower(),
        name=f"The {name} Briefing",
        language=language,
        sender_name="The Newsroom",
        sender_address=f"{name.lower()}@news.example",
        postal_address="1 Printing House Square",
        created_at=SEVEN,
    )
    session.add(mailing_list)
    session.flush()
    return mailing_list


def _subscriber(session: Session, name: str, domain: Domain) -> Subscriber:
    address = parse_address(f"{name}@{domain.name}")
    person = Subscriber(
        address=str(address),
        address_key=address.key,
        address_hash=address_hash(address),
        domain_id=domain.id,
        name=name.title(),
        created_at=SEVEN,
    )
    session.add(person)
    session.flush()
    return person


def _subscription(list_id: int, subscriber_id: int) -> Subscription:
    return Subscription(
        list_id=list_id,
        subscriber_id=subscriber_id,
        status=SubscriptionStatus.CONFIRMED,
        joined_at=SEVEN,
    )


def _edition(session: Session) -> Edition:
    edition = Edition(
        public_id=PUBLIC_ID,
        state=EditionState.SENT,
        revision=1,
        approved_revision=1,
        created_at=SEVEN,
        approved_at=SEVEN,
        started_at=SEVEN,
        finished_at=SEVEN,
    )
    session.add(edition)
    session.flush()
    session.add_all(
        [
            Link(edition_id=edition.id, number=1, url=STORY, story=1),
            Link(edition_id=edition.id, number=2, url="http://source.example/other", story=2),
        ]
    )
    ensure_delivery_partition(session, edition.id)
    return edition


def _delivery(edition_id: int, list_id: int, subscriber_id: int) -> Delivery:
    return Delivery(
        edition_id=edition_id,
        subscriber_id=subscriber_id,
        list_id=list_id,
        batch=1,
        state=DeliveryState.SENT,
        attempts=1,
        revision=1,
        sent_at=SEVEN,
    )

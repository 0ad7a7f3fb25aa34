"""Ada signs up: forms as the web hands them on, and the mails that answer them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.answers import answer_requests
from newsletter.audience.confirmation import Confirmation, confirm
from newsletter.audience.signup import Form, Visit, request_signup
from newsletter.audience.signup_mail import Links
from newsletter.db import reading, transaction
from newsletter.models import (
    MailingList,
    SignupRequest,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SystemMail,
)
from newsletter.settings import Settings
from tests.audience.people import NOW, a_list

SETTINGS = Settings(
    base_url="https://news.courier.example",
    mail_domain="mail.courier.example",
    secret_keys=((0, "a-secret-for-tests-that-is-long-enough-to-pass"),),
)
LINKS = Links.of(SETTINGS)
HOME = Visit("203.0.113.7", "Firefox")
ADA = "Ada@readers.example"


def make_list(engine: Engine, slug: str = "daily", **fields: Any) -> int:
    with transaction(engine) as session:
        return a_list(session, slug, **{"is_public": True} | fields).id


def a_form(
    session: Session,
    address: str = ADA,
    list_ids: Sequence[int] = (1,),
    *,
    language: str = "en-GB",
    zone: str = "Europe/Paris",
    visit: Visit = HOME,
) -> Form:
    return Form(
        address=parse_address(address),
        lists=[session.get_one(MailingList, list_id) for list_id in list_ids],
        language=language,
        zone=zone,
        wording="The Daily\n[Subscribe]",
        url="https://news.courier.example/s/daily",
        visit=visit,
    )


def ask(
    engine: Engine,
    address: str = ADA,
    list_ids: Sequence[int] = (1,),
    *,
    now: datetime = NOW,
    **fields: Any,
) -> None:
    """Send the form and let a worker answer it."""
    with transaction(engine) as session:
        request_signup(session, a_form(session, address, list_ids, **fields), now=now)
    answer(engine, now=now)


def answer(engine: Engine, *, now: datetime = NOW) -> int:
    return answer_requests(engine, settings=SETTINGS, now=now)


def press(engine: Engine, reference: str, *, now: datetime = NOW) -> Confirmation:
    with transaction(engine) as session:
        return confirm(session, reference, visit=HOME, links=LINKS, now=now)


def mails(engine: Engine) -> list[SystemMail]:
    with reading(engine) as session:
        return list(session.scalars(select(SystemMail).order_by(SystemMail.id)))


def kinds(engine: Engine) -> list[str]:
    return [mail.kind.value for mail in mails(engine)]


def requests(engine: Engine) -> list[SignupRequest]:
    with reading(engine) as session:
        return list(session.scalars(select(SignupRequest).order_by(SignupRequest.id)))


def status(engine: Engine, address: str = ADA, list_id: int = 1) -> SubscriptionStatus | None:
    """None: they are not on it, and perhaps nobody at all."""
    with reading(engine) as session:
        return session.scalar(
            select(Subscription.status)
            .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
            .where(
                Subscriber.address_key == parse_address(address).key,
                Subscription.list_id == list_id,
            )
        )

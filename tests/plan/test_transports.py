import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Auth, Carries, Edition, EditionTransport, MailingList, Security
from newsletter.plan.transports import (
    assign_transports,
    change_transport,
    freeze_choice,
    set_transport,
    transport_of_name,
)
from tests.newsroom import MORNING, add_list

pytestmark = pytest.mark.parametrize("store", ["sqlite"])


def an_edition(session: Session) -> Edition:
    edition = Edition(public_id="x", revision=1, created_at=MORNING)
    session.add(edition)
    session.flush()
    return edition


def frozen(session: Session, edition: Edition, *list_ids: int) -> dict[int, int]:
    """The weight of each transport that the edition may use."""
    lists = [session.get_one(MailingList, each) for each in list_ids]
    freeze_choice(session, edition, lists)
    rows = session.scalars(
        select(EditionTransport).where(EditionTransport.edition_id == edition.id)
    )
    return {row.transport_id: row.weight for row in rows}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://relay.example:2525", (2525, Security.NONE, None)),
        ("smtp+starttls://relay.example", (587, Security.STARTTLS, None)),
        ("smtps://u:p@relay.example?auth=xoauth2", (465, Security.TLS, Auth.XOAUTH2)),
    ],
)
def test_a_url_says_where_and_how(
    engine: Engine, url: str, expected: tuple[int, Security, Auth | None]
) -> None:
    with transaction(engine) as session:
        made = set_transport(session, "relay", url, connections=4)

        assert (made.port, made.security, made.auth) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://relay.example",
        "smtp://",
        "smtp://relay.example/path",
        "smtp://relay.example:port",
        "smtp://relay.example?auth=cram-md5",
        "smtp://relay.example?tls=no",
        "smtp://relay.example?auth=",
    ],
)
def test_any_other_url_is_refused(engine: Engine, url: str) -> None:
    with transaction(engine) as session, pytest.raises(InputError):
        set_transport(session, "relay", url, connections=4)


def test_only_what_is_given_is_changed(engine: Engine) -> None:
    with transaction(engine) as session:
        set_transport(session, "relay", "smtp://relay.example", connections=4)

        change_transport(session, "relay", weight=0, rate="100/s", carries=Carries.SYSTEM)
        changed = change_transport(session, "relay", connections=9)

        assert (changed.weight, changed.rate, changed.connections) == (0, "100/s", 9)
        assert changed.carries is Carries.SYSTEM
        assert change_transport(session, "relay", rate="none").rate is None
        with pytest.raises(InputError, match="weight"):
            change_transport(session, "relay", weight=-1)
        with pytest.raises(NotFoundError, match="no transport 'other'"):
            change_transport(session, "other", weight=1)


def test_an_edition_may_use_every_transport_that_carries_editions(engine: Engine) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        for name in ("one", "two", "three"):
            set_transport(session, name, "smtp://relay.example", connections=4)
        change_transport(session, "two", weight=5)
        change_transport(session, "three", carries=Carries.SYSTEM)
        edition = an_edition(session)

        assert frozen(session, edition, list_id) == {1: 1, 2: 5}
        assert edition.transport_id == 2

        change_transport(session, "two", weight=7)
        assert frozen(session, edition, list_id) == {1: 1, 2: 7}


def test_a_lists_own_choice_decides_and_can_be_taken_back(engine: Engine) -> None:
    harbour, market = add_list(engine), add_list(engine, "market")
    with transaction(engine) as session:
        for name in ("one", "two"):
            set_transport(session, name, "smtp://relay.example", connections=4)
        market_list = session.get_one(MailingList, market)
        assign_transports(session, market_list, [transport_of_name(session, "two")])
        edition = an_edition(session)

        assert frozen(session, edition, harbour) == {1: 1, 2: 1}
        assert frozen(session, edition, harbour, market) == {2: 1}

        assign_transports(session, market_list, [])
        assert frozen(session, edition, market) == {1: 1, 2: 1}


def test_without_a_transport_nothing_can_be_approved(engine: Engine) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session, pytest.raises(NotFoundError, match="transport set"):
        frozen(session, an_edition(session), list_id)

"""What is posted, and that the bell for it rings."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis as redis_client
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.db import reading, transaction
from newsletter.models import SystemMail, SystemMailKind
from newsletter.outbox import alarm_desk, post
from newsletter.queue import Job, Queue
from newsletter.settings import get_settings
from tests.newsroom import ringing_at, rung

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
ED = parse_address("ed@desk.example")

pytestmark = pytest.mark.parametrize("store", ["sqlite"])


@pytest.fixture(autouse=True)
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "ed@desk.example, Flo@desk.example")
    with ringing_at(redis_server, monkeypatch):
        yield


def mails(engine: Engine) -> list[tuple[str, str, str]]:
    with reading(engine) as session:
        rows = session.scalars(select(SystemMail).order_by(SystemMail.id))
        return [(mail.kind, mail.to_address, mail.data.get("subject", "")) for mail in rows]


def alarm(session: Session, dedupe: str) -> int:
    return alarm_desk(session, "Nobody approved", "At 05:45.\n\nDo it.", dedupe=dedupe, now=NOON)


def test_a_posted_mail_rings_once_it_is_committed(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    with transaction(engine) as session:
        post(session, SystemMailKind.ALARM, to=ED, data={"subject": "Hear"}, now=NOON)
        silent = rung(redis, Queue.SYSTEM)

    assert silent == []
    assert rung(redis, Queue.SYSTEM) == [(Job.SEND_SYSTEM_MAIL, {})]
    assert mails(engine) == [("alarm", "ed@desk.example", "Hear")]


def test_what_may_be_told_only_once_is_posted_once(
    engine: Engine, redis: "redis_client.Redis"
) -> None:
    with transaction(engine) as session:
        first, second = (
            post(session, SystemMailKind.ALARM, to=ED, data={}, dedupe="storm", now=NOON)
            for _ in range(2)
        )

    assert first is not None
    assert second is None
    assert len(rung(redis, Queue.SYSTEM)) == 1


def test_the_desk_is_alarmed_at_each_of_its_addresses_once_an_occasion(engine: Engine) -> None:
    with transaction(engine) as session:
        counts = [alarm(session, "slot 7 of 23 November"), alarm(session, "slot 7 of 23 November")]
        counts.append(alarm(session, "slot 7 of 24 November"))

    assert counts == [2, 0, 2]
    assert sorted(mails(engine)) == sorted(
        2 * [("alarm", name, "Nobody approved") for name in ("Flo@desk.example", "ed@desk.example")]
    )


def test_an_installation_without_a_desk_is_alarmed_in_silence(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "")
    get_settings.cache_clear()

    with transaction(engine) as session:
        assert alarm(session, "slot 7") == 0


def test_a_desk_address_that_cannot_be_mailed_stops_nobody_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NEWSLETTER_DESK_ADDRESSES", "ed@localhost.localdomain,flo@desk.example")
    get_settings.cache_clear()

    with transaction(engine) as session:
        assert alarm(session, "slot 7") == 1

    assert "desk address cannot be mailed" in caplog.text

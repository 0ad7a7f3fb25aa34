"""Nobody is mailed more often than a list allows, however many lists they are on."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from newsletter.clock import utc_now
from newsletter.db import transaction
from newsletter.deliver import claims, pump
from newsletter.deliver.frequency import A_DAY
from newsletter.deliver.journal import FOLDER
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Phase, Reply, Rule, Script
from newsletter.models import Deferral, Delivery, DeliveryState, Edition, MailingList, Reason
from newsletter.settings import Settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    sending_edition,
    settings_for,
    states_of,
    subscribe,
)
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

SENT, EXCLUDED = DeliveryState.SENT, DeliveryState.EXCLUDED


class Newsroom:
    """Ada and Bo read the morning list, Bo the evening list too, which leaves out who had enough."""

    def __init__(self, engine: Engine, state_dir: Path, port: int) -> None:
        self.engine = engine
        self.settings: Settings = settings_for(state_dir)
        self.transport = add_transport(engine, port)
        self.morning, self.evening = add_list(engine, "morning"), add_list(engine, "evening")
        self.ada, self.bo = add_readers(engine, self.morning, ["Ada", "Bo"])
        subscribe(engine, self.evening, [self.bo])
        self.allow(1)

    def allow(self, most: int | None) -> None:
        with transaction(self.engine) as session:
            session.get_one(MailingList, self.evening).most_a_day = most

    def begin(self, *list_ids: int) -> int:
        return sending_edition(self.engine, self.settings, list_ids, self.transport)

    def send(self, *list_ids: int) -> int:
        edition_id = self.begin(*list_ids)
        self.drain()
        return edition_id

    def drain(self) -> None:
        with Sender(self.engine, self.settings) as sender:
            sender.drain(seconds=20)

    def let_pass(self, edition_id: int, time: timedelta) -> None:
        """As if that edition had been sent so much earlier."""
        then = utc_now() - time
        with transaction(self.engine) as session:
            session.execute(
                update(Delivery).where(Delivery.edition_id == edition_id).values(sent_at=then)
            )
            session.execute(
                update(Edition).where(Edition.id == edition_id).values(finished_at=then)
            )


@pytest.fixture
def newsroom(engine: Engine, tmp_path: Path, smtpd: DevMail) -> Newsroom:
    return Newsroom(engine, tmp_path, smtpd.port)


def test_r08_whoever_was_mailed_often_enough_is_left_out_and_counted(
    newsroom: Newsroom, smtpd: DevMail
) -> None:
    newsroom.send(newsroom.morning)

    edition_id = newsroom.send(newsroom.evening)

    assert states_of(newsroom.engine, edition_id) == {newsroom.bo: EXCLUDED}
    with transaction(newsroom.engine) as session:
        delivery = session.get_one(Delivery, (edition_id, newsroom.bo))
        assert delivery.reason is Reason.OFTEN_ENOUGH
    assert_ledger_is_exact(newsroom.engine, edition_id)
    assert len(smtpd.messages()) == 2


def test_r08_a_list_without_a_limit_mails_everybody(newsroom: Newsroom) -> None:
    newsroom.send(newsroom.evening)

    edition_id = newsroom.send(newsroom.morning)

    assert states_of(newsroom.engine, edition_id) == {newsroom.ada: SENT, newsroom.bo: SENT}


def test_r08_a_limit_is_of_one_day(newsroom: Newsroom) -> None:
    newsroom.let_pass(newsroom.send(newsroom.morning), A_DAY + timedelta(minutes=1))

    edition_id = newsroom.send(newsroom.evening)

    assert states_of(newsroom.engine, edition_id) == {newsroom.bo: SENT}


def test_r08_a_limit_of_two_takes_two(newsroom: Newsroom) -> None:
    newsroom.allow(2)
    newsroom.send(newsroom.morning)

    second, third = newsroom.send(newsroom.evening), newsroom.send(newsroom.evening)

    assert states_of(newsroom.engine, second) == {newsroom.bo: SENT}
    assert states_of(newsroom.engine, third) == {newsroom.bo: EXCLUDED}


def test_r08_a_limit_is_asked_again_at_a_retry(engine: Engine, tmp_path: Path) -> None:
    busy = Script(rules=(Rule(phase=Phase.RCPT, action=Reply(code=450), times=1),))
    with checked_devmail(script=busy) as peer:
        newsroom = Newsroom(engine, tmp_path, peer.port)
        edition_id = newsroom.send(newsroom.evening)
        assert states_of(engine, edition_id) == {newsroom.bo: DeliveryState.DEFERRED}
        newsroom.send(newsroom.morning)

        with transaction(engine) as session:
            session.execute(update(Deferral).values(next_at=utc_now()))
        pump.turn(engine, tmp_path / FOLDER, now=utc_now())
        newsroom.drain()

        assert states_of(engine, edition_id) == {newsroom.bo: EXCLUDED}
        assert_ledger_is_exact(engine, edition_id)


def test_r08_two_editions_on_their_way_at_once_count_for_each_other(newsroom: Newsroom) -> None:
    newsroom.begin(newsroom.morning)
    edition_id = newsroom.begin(newsroom.evening)
    with transaction(newsroom.engine) as session:
        held = claims.claim(session, now=utc_now(), lease=timedelta(minutes=1))
        assert held is not None
        assert len(held.readers) == 2

    newsroom.drain()

    assert states_of(newsroom.engine, edition_id) == {newsroom.bo: EXCLUDED}

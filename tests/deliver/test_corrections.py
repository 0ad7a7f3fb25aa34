"""A correction while an edition is on its way: each reader gets the revision that the books name."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from sqlalchemy import Engine, select, update

from newsletter.clock import utc_now
from newsletter.compose.briefing import Span
from newsletter.db import reading, transaction
from newsletter.deliver import pump
from newsletter.deliver.journal import FOLDER
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.devmail.received import Received
from newsletter.devmail.script import Delay, Phase, Reply, Rule, Script
from newsletter.models import Deferral, Delivery, DeliveryState, EditionState, Subscriber
from newsletter.plan import planner, schedule
from newsletter.plan.approval import approve_edition
from newsletter.plan.editions import content_of, correct_edition
from newsletter.settings import Settings
from tests.newsroom import (
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    sending_edition,
)
from tests.smtpd import checked_devmail

READERS = 60
TEXTS = {1: "The harbour is open again.", 2: "The harbour is shut after all."}
BUSY = Reply(code=451, enhanced="4.7.1", text="Try later")
SCRIPT = Script(
    rules=(
        Rule(phase=Phase.RCPT, recipient="^r3@", action=BUSY, times=1),
        Rule(phase=Phase.DOT, action=Delay(seconds=0.02)),
    )
)


def correct(engine: Engine, settings: Settings, edition_id: int) -> None:
    briefing = replace(a_briefing(), intro=((Span(TEXTS[2]),),))
    with transaction(engine) as session:
        correct_edition(
            session,
            edition_id,
            content_of(briefing, "corrected"),
            settings=settings,
            corrected_by="Ed",
            now=utc_now(),
        )
        approve_edition(session, edition_id, approved_by="Ann", settings=settings, now=utc_now())


def send_until_paused(
    engine: Engine, settings: Settings, edition_id: int, peer: DevMail, *, mails: int
) -> None:
    with Sender(engine, settings) as sender, ThreadPoolExecutor(1) as threads:
        drained = threads.submit(sender.drain, seconds=20)
        peer.wait_for(mails)
        with transaction(engine) as session:
            schedule.pause(session, edition_id)
        drained.result()


def send_rest(engine: Engine, settings: Settings) -> None:
    """The retry of whoever was deferred included; it is released as if its time had come."""
    folder = settings.state_dir / FOLDER
    with Sender(engine, settings) as sender:
        sender.drain(seconds=20)
        with transaction(engine) as session:
            session.execute(update(Deferral).values(next_at=utc_now()))
        pump.turn(engine, folder, now=utc_now())
        sender.drain(seconds=20)
    pump.turn(engine, folder, now=utc_now())


def text_of(received: Received) -> str:
    body = message_from_bytes(received.content, policy=policy.default).get_body(("plain",))
    assert body is not None
    return " ".join(body.get_content().split())


def revisions(engine: Engine, edition_id: int) -> dict[str, int]:
    with reading(engine) as session:
        rows = session.execute(
            select(Subscriber.address, Delivery.revision)
            .join(Delivery, Delivery.subscriber_id == Subscriber.id)
            .where(Delivery.edition_id == edition_id)
        )
        return {row.address: row.revision for row in rows}


def test_each_reader_gets_the_revision_that_the_ledger_names_and_nobody_gets_two(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "BATCH", 10)
    with checked_devmail(script=SCRIPT) as peer:
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"r{number}" for number in range(READERS)])
        transport = add_transport(engine, peer.port, connections=2)
        edition_id = sending_edition(engine, settings, [list_id], transport)

        send_until_paused(engine, settings, edition_id, peer, mails=15)
        before = len(peer.messages())
        correct(engine, settings, edition_id)
        assert edition_of(engine, edition_id).state is EditionState.PAUSED
        with transaction(engine) as session:
            schedule.resume(session, edition_id)
        send_rest(engine, settings)

        assert 15 <= before < READERS
        assert count_states(engine, edition_id) == {DeliveryState.SENT: READERS}
        assert edition_of(engine, edition_id).state is EditionState.SENT
        assert_ledger_is_exact(engine, edition_id, peer)
        got = revisions(engine, edition_id)
        assert Counter(got.values()) == {1: before, 2: READERS - before}
        assert got["r3@readers.example"] == 2, "a retry carries the newest"
        for mail in peer.messages():
            revision = got[mail.rcpt_to[0]]
            assert TEXTS[revision] in text_of(mail)
            assert TEXTS[3 - revision] not in text_of(mail)

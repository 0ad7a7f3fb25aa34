"""Single mails over the wire, to a real mail server."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path

import dkim  # type: ignore[import-untyped]
import pytest
from sqlalchemy import Engine, event, select, update
from sqlalchemy.exc import OperationalError

from newsletter.addresses import parse_address
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.dkim_keys import create_key, dns_record, keys_for, signing_key
from newsletter.deliver.holds import hold_transport, lift_transport
from newsletter.deliver.post_office import PostOffice
from newsletter.deliver.reference import ReferenceConnection
from newsletter.deliver.wire import Endpoint, MailConnection
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Action, Close, Delay, Phase, Reply, Rule, Script
from newsletter.models import (
    Carries,
    DkimAlgorithm,
    MailingList,
    Security,
    SystemMail,
    SystemMailKind,
    SystemMailState,
    Transport,
)
from newsletter.outbox import post
from newsletter.settings import Settings
from newsletter.stack.ports import free_port
from tests.newsroom import MORNING, add_list, add_transport, settings_for
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

PATIENCE_SECONDS = 15.0
DATA = {"subject": "Nobody approved", "paragraphs": ["Do it."]}
SENT, WAITING = SystemMailState.SENT, SystemMailState.WAITING


@pytest.fixture
def store() -> str:
    """What differs between the stores is in the rows' own tests."""
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, poll_seconds=0.1)


@pytest.fixture
def post_office(engine: Engine, settings: Settings) -> Iterator[PostOffice]:
    with PostOffice(engine, settings) as post_office:
        yield post_office


def alarm(engine: Engine, name: str = "ed", *, list_id: int | None = None) -> int:
    with transaction(engine) as session:
        mail_id = post(
            session,
            SystemMailKind.ALARM,
            to=parse_address(f"{name}@desk.example"),
            data=DATA,
            list_id=list_id,
            now=utc_now(),
        )
    assert mail_id is not None
    return mail_id


def mail_of(engine: Engine, mail_id: int) -> SystemMail:
    with reading(engine) as session:
        return session.get_one(SystemMail, mail_id)


def wait_for(engine: Engine, mail_id: int, is_so: Callable[[SystemMail], bool]) -> SystemMail:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so(mail := mail_of(engine, mail_id)):
        if time.monotonic() > deadline:
            message = f"still {mail.state}: {mail.reply}"
            raise TimeoutError(message)
        time.sleep(0.02)
    return mail


def is_answered(mail: SystemMail) -> bool:
    return bool(mail.reply)


def answering(phase: Phase, action: Action, *, times: int | None = None) -> Script:
    return Script(rules=(Rule(phase=phase, action=action, times=times),))


def try_now(engine: Engine) -> None:
    with transaction(engine) as session:
        session.execute(update(SystemMail).values(next_at=utc_now()))


@pytest.mark.usefixtures("post_office")
def test_a_posted_mail_is_found_and_sent_without_any_bell(engine: Engine, smtpd: DevMail) -> None:
    add_transport(engine, smtpd.port)

    mail = wait_for(engine, alarm(engine), is_answered)

    received = smtpd.messages()[0]
    content = message_from_bytes(received.content, policy=policy.default)
    assert (mail.state, mail.reply[:3]) == (SENT, "250")
    assert received.rcpt_to == ("ed@desk.example",)
    assert received.mail_from == f"s-{mail.reference}@mail.harbour.example"
    assert content["From"] == "Newsletter <newsletter@mail.harbour.example>"
    assert content["Message-ID"] == f"<s-{mail.reference}@mail.harbour.example>"


def test_a_bell_is_enough_when_nobody_looks(engine: Engine, smtpd: DevMail, tmp_path: Path) -> None:
    add_transport(engine, smtpd.port)
    with PostOffice(engine, settings_for(tmp_path, poll_seconds=600)) as post_office:
        mail_id = alarm(engine)

        post_office.nudge()

        assert wait_for(engine, mail_id, is_answered).state is SENT


@pytest.mark.usefixtures("post_office")
def test_a_mail_of_a_list_is_from_its_sender_and_signed(engine: Engine, smtpd: DevMail) -> None:
    add_transport(engine, smtpd.port)
    list_id = add_list(engine)
    with transaction(engine) as session:
        create_key(session, "harbour.example", "s1", algorithm=DkimAlgorithm.RSA, now=MORNING)
        record = dns_record(signing_key(keys_for(session, "harbour.example")[0]))

    wait_for(engine, alarm(engine, list_id=list_id), is_answered)

    raw = smtpd.messages()[0].content
    content = message_from_bytes(raw, policy=policy.default)
    assert content["From"] == "The Harbour Brief <brief@harbour.example>"
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: record.text.encode())


@pytest.mark.usefixtures("post_office")
def test_a_retry_has_the_same_message_id_and_date(engine: Engine, smtpd: DevMail) -> None:
    """R-06."""
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.AFTER_DOT, Reply(code=451, enhanced="4.3.0"), times=1)
    mail_id = alarm(engine)
    busy = wait_for(engine, mail_id, is_answered)

    try_now(engine)

    wait_for(engine, mail_id, lambda mail: mail.state is SENT)
    first, second = smtpd.messages()
    assert busy.reply.startswith("451 4.3.0")
    assert first.content == second.content


@pytest.mark.usefixtures("post_office")
def test_an_answer_that_is_lost_means_a_second_copy_of_an_alarm(
    engine: Engine, smtpd: DevMail
) -> None:
    """F-04."""
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.AFTER_DOT, Close(), times=1)
    mail_id = alarm(engine)
    in_doubt = wait_for(engine, mail_id, is_answered)

    try_now(engine)

    wait_for(engine, mail_id, lambda mail: mail.state is SENT)
    assert in_doubt.state is WAITING
    assert len(smtpd.messages()) == 2


@pytest.mark.usefixtures("post_office")
def test_a_transport_in_trouble_is_stepped_over(engine: Engine, smtpd: DevMail) -> None:
    with transaction(engine) as session:
        session.add(
            Transport(name="gone", host="127.0.0.1", port=free_port(), security=Security.NONE)
        )
    add_transport(engine, smtpd.port)

    mail = wait_for(engine, alarm(engine), is_answered)

    assert mail.state is SENT


@pytest.mark.usefixtures("post_office")
def test_nothing_goes_through_a_transport_that_a_person_holds(
    engine: Engine, smtpd: DevMail
) -> None:
    transport_id = add_transport(engine, smtpd.port)
    with transaction(engine) as session:
        hold_transport(session, transport_id, by="Cy", now=utc_now())
    mail_id = alarm(engine)
    held = wait_for(engine, mail_id, is_answered)

    with transaction(engine) as session:
        lift_transport(session, transport_id, by="Cy", now=utc_now())
    try_now(engine)

    assert "held by hand" in held.reply
    assert wait_for(engine, mail_id, lambda mail: mail.state is SENT).attempts == 1


@pytest.mark.usefixtures("post_office")
def test_a_transport_for_system_mail_comes_before_the_others(
    engine: Engine, smtpd: DevMail
) -> None:
    with checked_devmail() as own:
        add_transport(engine, smtpd.port)
        with transaction(engine) as session:
            session.add(
                Transport(
                    name="own",
                    host="127.0.0.1",
                    port=own.port,
                    security=Security.NONE,
                    carries=Carries.SYSTEM,
                )
            )

        wait_for(engine, alarm(engine), is_answered)

        assert len(own.messages()) == 1
        assert smtpd.messages() == []


@pytest.mark.usefixtures("post_office")
def test_without_any_transport_a_mail_waits_and_says_why(engine: Engine) -> None:
    mail = wait_for(engine, alarm(engine), is_answered)

    assert mail.state is WAITING
    assert "newsletter transport set" in mail.reply


@pytest.mark.usefixtures("post_office")
def test_a_mail_that_cannot_be_written_fails_and_the_next_one_goes(
    engine: Engine, smtpd: DevMail
) -> None:
    """F-28."""
    add_transport(engine, smtpd.port)
    with transaction(engine) as session:
        to = parse_address("flo@desk.example")
        poison = post(session, SystemMailKind.ALARM, to=to, data={}, now=utc_now())
    assert poison is not None

    sound = wait_for(engine, alarm(engine), is_answered)

    assert sound.state is SENT
    unfit = mail_of(engine, poison)
    assert unfit.state is SystemMailState.FAILED
    assert "alarm/subject.txt" in unfit.reply


@pytest.mark.usefixtures("post_office")
def test_a_row_that_nobody_can_read_holds_nothing_up(engine: Engine, smtpd: DevMail) -> None:
    """F-28: a mail whose making breaks off is held until its lease is over."""
    add_transport(engine, smtpd.port)
    with transaction(engine) as session:
        to = parse_address("flo@desk.example")
        poison = post(session, SystemMailKind.TEST, to=to, data={}, now=utc_now())
    assert poison is not None

    sound = wait_for(engine, alarm(engine), is_answered)

    assert sound.state is SENT
    assert mail_of(engine, poison).state is not WAITING


@pytest.mark.usefixtures("post_office")
def test_one_slow_answer_does_not_hold_up_the_other_mails(engine: Engine, smtpd: DevMail) -> None:
    """R-07."""
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.DOT, Delay(seconds=3), times=1)
    slow = alarm(engine, "slow")
    wait_for(engine, slow, lambda mail: mail.state is SystemMailState.CLAIMED)
    time.sleep(0.2)

    quick = [wait_for(engine, alarm(engine, f"ed{n}"), is_answered) for n in range(3)]

    assert {mail.state for mail in quick} == {SENT}
    assert mail_of(engine, slow).state is SystemMailState.CLAIMED


def test_a_mail_outlives_its_lease_while_its_server_thinks(
    engine: Engine, smtpd: DevMail, tmp_path: Path
) -> None:
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.DOT, Delay(seconds=1.5), times=1)
    settings = settings_for(tmp_path, poll_seconds=0.1, lease_seconds=0.6)

    with PostOffice(engine, settings), PostOffice(engine, settings):
        mail = wait_for(engine, alarm(engine), is_answered)

    assert (mail.state, mail.lease_token) == (SENT, 1)
    assert len(smtpd.messages()) == 1


@pytest.mark.usefixtures("post_office")
def test_no_transaction_is_open_while_a_server_thinks(engine: Engine, smtpd: DevMail) -> None:
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.DOT, Delay(seconds=1), times=1)
    mail_id = alarm(engine)
    wait_for(engine, mail_id, lambda mail: mail.state is SystemMailState.CLAIMED)

    started = time.monotonic()
    with transaction(engine) as session:  # BEGIN IMMEDIATE: it would wait for any other writer
        session.execute(update(MailingList).values(tagline="seen"))
    waited = time.monotonic() - started

    assert waited < 0.5
    assert wait_for(engine, mail_id, is_answered).state is SENT


@pytest.mark.usefixtures("post_office")
def test_a_connection_is_kept_for_the_mails_that_follow(engine: Engine, smtpd: DevMail) -> None:
    add_transport(engine, smtpd.port)

    for number in range(3):
        wait_for(engine, alarm(engine, f"ed{number}"), is_answered)

    assert smtpd.connections == 1


@pytest.mark.usefixtures("post_office")
def test_the_post_office_outlives_a_database_that_is_away(engine: Engine, smtpd: DevMail) -> None:
    add_transport(engine, smtpd.port)
    refusals: list[int] = []

    def refuse(*_: object) -> None:
        if len(refusals) < 3:
            refusals.append(1)
            raise OperationalError("SELECT 1", {}, ConnectionError("away"))

    with_mail = alarm(engine)
    event.listen(engine, "engine_connect", refuse)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(refusals) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    event.remove(engine, "engine_connect", refuse)

    assert wait_for(engine, with_mail, is_answered).state is SENT


def test_closing_waits_for_the_mail_under_way(
    engine: Engine, smtpd: DevMail, settings: Settings
) -> None:
    add_transport(engine, smtpd.port)
    smtpd.script = answering(Phase.DOT, Delay(seconds=0.5))
    mail_id = alarm(engine)

    with PostOffice(engine, settings):
        wait_for(engine, mail_id, lambda mail: mail.state is SystemMailState.CLAIMED)

    assert mail_of(engine, mail_id).state is SENT


def test_mail_that_is_due_later_is_left_alone(
    engine: Engine, smtpd: DevMail, settings: Settings
) -> None:
    add_transport(engine, smtpd.port)
    mail_id = alarm(engine)
    with transaction(engine) as session:
        later = utc_now() + timedelta(hours=1)
        session.execute(update(SystemMail).values(next_at=later))

    with PostOffice(engine, settings):
        time.sleep(0.3)

    assert mail_of(engine, mail_id).state is WAITING
    with reading(engine) as session:
        assert session.scalars(select(SystemMail.attempts)).all() == [0]


@pytest.mark.usefixtures("post_office")
def test_a_connection_that_was_closed_while_idle_costs_no_time(
    engine: Engine, smtpd: DevMail
) -> None:
    add_transport(engine, smtpd.port)
    wait_for(engine, alarm(engine, "first"), is_answered)
    smtpd.script = answering(Phase.MAIL, Close(), times=1)

    second = wait_for(engine, alarm(engine, "second"), is_answered)

    assert (second.state, second.attempts) == (SENT, 1)
    assert smtpd.connections == 2


def test_the_client_of_the_setting_carries_single_mails_too(
    engine: Engine, settings: Settings, smtpd: DevMail, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_transport(engine, smtpd.port)
    opened: list[str] = []

    async def open_one(endpoint: Endpoint) -> MailConnection:
        opened.append(endpoint.host)
        return await ReferenceConnection.open(endpoint)

    monkeypatch.setattr("newsletter.deliver.post_office.OPENERS", {"reference": open_one})
    chosen = settings.model_copy(update={"smtp_client": "reference"})

    with PostOffice(engine, chosen):
        alarm(engine)
        smtpd.wait_for(1, PATIENCE_SECONDS)

    assert opened == ["127.0.0.1"]

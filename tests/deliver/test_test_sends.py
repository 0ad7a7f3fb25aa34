"""Test sends: like the real thing, and none of it."""

import re
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from newsletter.addresses import Address, parse_address
from newsletter.audience.suppression import suppress
from newsletter.checks.message import check_message
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.post_office import PostOffice
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import ResultOfTest, request_test, results_of
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Close, Phase, Reply, Rule, Script
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import (
    Delivery,
    EditionState,
    MailingList,
    Subscriber,
    SuppressionReason,
    SystemMail,
    SystemMailState,
)
from newsletter.plan.editions import content_of, revise_edition
from newsletter.settings import Settings
from newsletter.tokens import Tokens
from tests.newsroom import (
    MORNING,
    a_briefing,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    edition_of,
    settings_for,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

ED, FLO = parse_address("ed@desk.example"), parse_address("flo@desk.example")
PATIENCE_SECONDS = 15.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, poll_seconds=0.1)


@pytest.fixture
def edition_id(engine: Engine, settings: Settings, smtpd: DevMail) -> int:
    """Ada and Bo read the list that it goes to; test mails may go to the desk."""
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada", "Bo"])
    with transaction(engine) as session:
        allow_tests(session, "@desk.example", by="Cy", now=MORNING)
    return approved_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))


@pytest.fixture
def post_office(engine: Engine, settings: Settings) -> Iterator[PostOffice]:
    with PostOffice(engine, settings) as post_office:
        yield post_office


def ask(engine: Engine, edition_id: int, *to: Address, most: int = 30, **changes: Any) -> list[int]:
    with transaction(engine) as session:
        return request_test(
            session,
            edition_id,
            to=to,
            by="Ed",
            most_per_minute=most,
            **({"now": utc_now()} | changes),
        )


def results(engine: Engine, mail_ids: Sequence[int]) -> list[ResultOfTest]:
    """Once there is something to tell of each."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with reading(engine) as session:
            found = results_of(session, mail_ids)
        if all(each.is_known for each in found):
            return found
        time.sleep(0.02)
    raise TimeoutError(str(found))


def parsed(peer: DevMail, place: int = 0) -> Any:
    return message_from_bytes(peer.messages()[place].content, policy=policy.default)


def bodies(mail: Any) -> str:
    return "".join(part.get_content() for part in mail.iter_parts())


def posted(engine: Engine) -> int:
    with reading(engine) as session:
        return session.scalar(select(func.count()).select_from(SystemMail)) or 0


@pytest.mark.usefixtures("post_office")
def test_the_tester_gets_the_readers_mail_with_a_marked_subject(
    engine: Engine, edition_id: int, smtpd: DevMail
) -> None:
    answers = results(engine, ask(engine, edition_id, ED))

    mail = parsed(smtpd)
    assert [(each.address, each.state) for each in answers] == [(str(ED), SystemMailState.SENT)]
    assert answers[0].reply.startswith("250")
    assert mail["Subject"] == "[Test] Harbour Reopens After the Storm"
    assert mail["From"] == "The Harbour Brief <brief@harbour.example>"
    assert mail["To"] == str(ED)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "Story number 2 of the port" in bodies(mail)
    assert check_message(smtpd.messages()[0].content) == []


@pytest.mark.usefixtures("post_office")
def test_a_test_makes_no_subscriber_and_no_delivery(engine: Engine, edition_id: int) -> None:
    results(engine, ask(engine, edition_id, ED))

    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 2
    assert edition_of(engine, edition_id).state is EditionState.APPROVED


@pytest.mark.usefixtures("post_office")
def test_every_link_of_a_test_says_that_it_is_one(
    engine: Engine, edition_id: int, smtpd: DevMail, settings: Settings
) -> None:
    tokens = Tokens(settings.secret_keys)

    results(engine, ask(engine, edition_id, ED))

    mail = parsed(smtpd)
    unsubscribe = re.findall(r"/u/([\w-]+)", mail["List-Unsubscribe"])[0]
    clicks = set(re.findall(r"/c/([\w-]+)/", bodies(mail)))
    assert tokens.read_unsubscribe(unsubscribe).is_test
    assert len(clicks) == 1
    return_path = smtpd.messages()[0].mail_from.partition("@")[0].removeprefix("b-")
    assert tokens.read_return_path(return_path).is_test


@pytest.mark.usefixtures("post_office")
def test_two_tests_to_one_person_are_two_messages(
    engine: Engine, edition_id: int, smtpd: DevMail
) -> None:
    for _ in range(2):
        results(engine, ask(engine, edition_id, ED))

    first, second = parsed(smtpd, 0), parsed(smtpd, 1)
    assert first["Message-ID"] != second["Message-ID"]


@pytest.mark.usefixtures("post_office")
def test_as_a_subscriber_it_greets_them_and_names_them_nowhere_else(
    engine: Engine, edition_id: int, smtpd: DevMail
) -> None:
    ada = parse_address("Ada@readers.example")

    results(engine, ask(engine, edition_id, ED, persona=ada))

    mail = parsed(smtpd)
    assert "Ada" in bodies(mail)
    assert mail["To"] == f"Ada <{ED}>"
    assert "ada@readers.example" not in bodies(mail).lower()


@pytest.mark.usefixtures("post_office")
@pytest.mark.parametrize("store", ["sqlite"])
def test_an_edition_of_several_lists_is_tested_in_the_dress_of_any(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    lists = [add_list(engine, "harbour"), add_list(engine, "evening")]
    add_readers(engine, lists[1], ["Cy"])
    with transaction(engine) as session:
        allow_tests(session, str(ED), by="Cy", now=MORNING)
    both = approved_edition(engine, settings, lists, add_transport(engine, smtpd.port))

    results(engine, ask(engine, both, ED))
    results(engine, ask(engine, both, ED, list_slug="evening"))
    results(engine, ask(engine, both, ED, persona=parse_address("cy@readers.example")))

    senders = [parsed(smtpd, place)["From"].split(" <")[0] for place in range(3)]
    assert senders == ["The Harbour Brief", "The Evening Brief", "The Evening Brief"]
    with pytest.raises(InputError, match="choose from: harbour, evening"):
        ask(engine, both, ED, list_slug="noon")


@pytest.mark.usefixtures("post_office")
@pytest.mark.parametrize("store", ["sqlite"])
def test_the_revision_asked_for_is_sent_whatever_was_written_since(
    engine: Engine, edition_id: int, smtpd: DevMail, settings: Settings
) -> None:
    with transaction(engine) as session:
        mail_ids = request_test(
            session, edition_id, to=[ED], by="Ed", most_per_minute=9, now=utc_now()
        )
        revise_edition(
            session,
            edition_id,
            content_of(a_briefing(stories=5), "text"),
            settings=settings,
            revised_by="Ed",
            now=MORNING,
        )

    results(engine, mail_ids)
    results(engine, ask(engine, edition_id, ED))

    assert "Story number 5" not in bodies(parsed(smtpd, 0))
    assert "Story number 5" in bodies(parsed(smtpd, 1))


@pytest.mark.usefixtures("post_office")
@pytest.mark.parametrize("store", ["sqlite"])
def test_the_servers_refusal_is_the_result(engine: Engine, edition_id: int, smtpd: DevMail) -> None:
    smtpd.script = Script(
        rules=(Rule(phase=Phase.RCPT, action=Reply(code=550, enhanced="5.7.1", text="Not you")),)
    )

    answers = results(engine, ask(engine, edition_id, ED))

    assert answers == [ResultOfTest(str(ED), SystemMailState.FAILED, "550 5.7.1 Not you")]


@pytest.mark.usefixtures("post_office")
@pytest.mark.parametrize("store", ["sqlite"])
def test_a_lost_answer_is_told_and_nothing_is_sent_twice(
    engine: Engine, edition_id: int, smtpd: DevMail
) -> None:
    smtpd.script = Script(rules=(Rule(phase=Phase.AFTER_DOT, action=Close()),))

    answers = results(engine, ask(engine, edition_id, ED))
    time.sleep(0.3)

    assert [each.state for each in answers] == [SystemMailState.UNCERTAIN]
    assert len(smtpd.messages()) == 1


@pytest.mark.parametrize("store", ["sqlite"])
def test_whoever_is_not_listed_gets_none_and_neither_does_anybody_else(
    engine: Engine, edition_id: int
) -> None:
    with pytest.raises(InputError, match=r"not go to gus@other.example; an admin allows it"):
        ask(engine, edition_id, ED, parse_address("gus@other.example"))

    assert posted(engine) == 0


@pytest.mark.parametrize("store", ["sqlite"])
def test_whoever_is_suppressed_gets_none(engine: Engine, edition_id: int) -> None:
    """B-26."""
    with transaction(engine) as session:
        reason = SuppressionReason.ON_REQUEST
        suppress(session, ED, reason=reason, source="test", now=MORNING)

    with pytest.raises(InputError, match=r"ed@desk.example must not be mailed: suppressed"):
        ask(engine, edition_id, ED, FLO)

    assert posted(engine) == 0


@pytest.mark.parametrize("store", ["sqlite"])
def test_one_address_twice_gets_one(engine: Engine, edition_id: int) -> None:
    ask(engine, edition_id, ED, parse_address("ED@desk.example"))

    assert posted(engine) == 1


def test_more_than_a_minutes_tests_are_refused_until_it_is_over(
    engine: Engine, edition_id: int
) -> None:
    ask(engine, edition_id, ED, FLO, most=3, now=MORNING)

    with pytest.raises(StateError, match="2 test mails were sent within the last minute, and 3"):
        ask(engine, edition_id, ED, FLO, most=3, now=MORNING + timedelta(seconds=59))
    ask(engine, edition_id, ED, FLO, most=3, now=MORNING + timedelta(seconds=60))

    assert posted(engine) == 4


@pytest.mark.parametrize("store", ["sqlite"])
def test_who_reads_none_of_the_lists_is_nobody_to_greet_as(engine: Engine, edition_id: int) -> None:
    with pytest.raises(InputError, match="on none of the edition's lists"):
        ask(engine, edition_id, ED, persona=ED)


@pytest.mark.parametrize("store", ["sqlite"])
def test_a_test_goes_to_a_few_and_an_edition_that_exists(engine: Engine, edition_id: int) -> None:
    many = [parse_address(f"ed{number}@desk.example") for number in range(21)]

    with pytest.raises(InputError, match="at most 20 addresses"):
        ask(engine, edition_id, *many)
    with pytest.raises(NotFoundError, match="no edition 999"):
        ask(engine, 999, ED)


@pytest.mark.parametrize("store", ["sqlite"])
def test_who_asked_for_a_test_is_kept_with_it(engine: Engine, edition_id: int) -> None:
    ask(engine, edition_id, ED)

    with reading(engine) as session:
        assert session.scalars(select(SystemMail)).one().data["by"] == "Ed"
        assert session.scalars(select(MailingList.id)).all() == [1]

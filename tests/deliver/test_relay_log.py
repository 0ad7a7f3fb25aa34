"""What a relay's log proves: whoever's message it has a status for was sent."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from newsletter.db import reading, transaction
from newsletter.deliver import claims, ledger
from newsletter.deliver.recovery import recover
from newsletter.deliver.relay_log import messages_taken, settle_by_relay_log
from newsletter.models import DeliveryState, Evidence, Settlement
from newsletter.settings import Settings
from newsletter.tokens import DeliveryRef, Purpose, Tokens
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    assert_ledger_is_exact,
    sending_edition,
    settings_for,
    states_of,
)

OURS = "mail.harbour.example"
NOW = MORNING + timedelta(minutes=1)
LEASE = timedelta(seconds=60)
SENT, UNCERTAIN = DeliveryState.SENT, DeliveryState.UNCERTAIN

CLEANUP = "Nov 20 06:00:0{n} relay postfix/cleanup[41]: {queue}: message-id=<{message_id}>"
STATUS = (
    "Nov 20 06:00:0{n} relay postfix/smtp[42]: {queue}: to=<r@readers.example>, "
    "relay=mx.readers.example[192.0.2.1]:25, delay=0.4, dsn=2.0.0, status={status} (said so)"
)
REMOVED = "Nov 20 06:00:0{n} relay postfix/qmgr[43]: {queue}: removed"


def taken(*lines: str) -> list[str]:
    return list(messages_taken(lines, mail_domain=OURS))


def cleanup(queue: str, message_id: str) -> str:
    return CLEANUP.format(n=1, queue=queue, message_id=message_id)


def status(queue: str, word: str = "sent") -> str:
    return STATUS.format(n=2, queue=queue, status=word)


@pytest.mark.parametrize("word", ["sent", "bounced", "deferred", "expired"])
def test_whatever_became_of_it_afterwards_the_relay_had_taken_it(word: str) -> None:
    assert taken(cleanup("4XyZ12abC", f"one@{OURS}"), status("4XyZ12abC", word)) == ["one"]


@pytest.mark.parametrize(
    "lines",
    [
        [cleanup("4XyZ12abC", f"one@{OURS}")],
        [cleanup("4XyZ12abC", f"one@{OURS}"), status("4XyZ99zzZ")],
        [cleanup("4XyZ12abC", "one@elsewhere.example"), status("4XyZ12abC")],
        [status("4XyZ12abC"), cleanup("4XyZ12abC", f"one@{OURS}")],
        [
            cleanup("4XyZ12abC", f"one@{OURS}"),
            REMOVED.format(n=3, queue="4XyZ12abC"),
            status("4XyZ12abC"),
        ],
        ["status=sent", "message-id=<>", "\0\0", ""],
    ],
    ids=["no status", "another's status", "not ours", "too early", "removed before", "no log"],
)
def test_a_log_that_does_not_say_so_proves_nothing(lines: list[str]) -> None:
    assert taken(*lines) == []


def test_a_line_with_both_needs_no_queue_id() -> None:
    line = f"relay: delivered message-id=<one@{OURS.upper()}> to=<r@readers.example> status=sent"

    assert taken(line) == ["one"]


@given(st.lists(st.text(max_size=80), max_size=20))
def test_no_log_breaks_the_reading(lines: list[str]) -> None:
    assert all(isinstance(each, str) for each in taken(*lines))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, mail_domain=OURS)


@pytest.fixture
def edition_id(engine: Engine, settings: Settings) -> int:
    """Its three readers are in doubt: their host was lost."""
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo", "cy"])
    made = sending_edition(engine, settings, [list_id], add_transport(engine, 25))
    with transaction(engine) as session:
        claimed = claims.claim(session, now=NOW, lease=LEASE)
        assert claimed is not None
        upto = claimed.readers[-1].subscriber_id
        ledger.intend(session, claimed.lease, upto=upto, now=NOW, extend=LEASE)
    recover(engine, settings.state_dir, now=NOW + 2 * LEASE)
    return made


def settle(engine: Engine, settings: Settings, edition_id: int, lines: Iterable[str]) -> int:
    with transaction(engine) as session:
        return settle_by_relay_log(session, edition_id, lines, settings=settings, at=NOW, by="Ann")


def test_who_is_in_the_log_was_sent_and_the_log_may_be_read_again(
    engine: Engine, settings: Settings, edition_id: int
) -> None:
    ada, bo, _cy = states_of(engine, edition_id)
    tokens = Tokens(settings.secret_keys)
    log = []
    for number, ref in enumerate(
        [DeliveryRef(edition_id, ada), DeliveryRef(edition_id + 1, bo)], start=1
    ):
        queue = f"4XyZ12ab{number}"
        message_id = f"{tokens.delivery(Purpose.MESSAGE_ID, ref)}@{OURS}"
        log += [cleanup(queue, message_id), status(queue)]
    log += [cleanup("4XyZ12abQ", f"made-up@{OURS}"), status("4XyZ12abQ")]

    assert settle(engine, settings, edition_id, log) == 1
    assert settle(engine, settings, edition_id, log) == 0

    assert list(states_of(engine, edition_id).values()) == [SENT, UNCERTAIN, UNCERTAIN]
    with reading(engine) as session:
        settled = session.scalars(select(Settlement)).one()
    assert (settled.subscriber_id, settled.evidence, settled.by) == (ada, Evidence.RELAY, "Ann")
    assert_ledger_is_exact(engine, edition_id)

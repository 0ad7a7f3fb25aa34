"""B-26: every path asks for suppressions in the statement that plans, posts or sends.

Imports and sign-ups have theirs in `tests/audience`.
"""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.addresses import parse_address
from newsletter.audience.suppression import suppress
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.sender import Sender
from newsletter.deliver.system_mail import OBEYS_SUPPRESSION, claim
from newsletter.deliver.test_recipients import allow_tests
from newsletter.deliver.test_sends import request_test
from newsletter.devmail.peer import DevMail
from newsletter.errors import InputError
from newsletter.models import (
    EVERYWHERE,
    Delivery,
    DeliveryState,
    Reason,
    SuppressionReason,
    SystemMail,
    SystemMailKind,
    SystemMailState,
)
from newsletter.outbox import post
from newsletter.settings import Settings
from tests.newsroom import (
    MORNING,
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    sending_edition,
    settings_for,
    states_of,
)
from tests.smtpd import smtpd

__all__ = ["smtpd"]

ADA = parse_address("ada@readers.example")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, poll_seconds=0.05)


def never_mail_ada(engine: Engine, list_id: int = EVERYWHERE) -> None:
    with transaction(engine) as session:
        reason = SuppressionReason.BOUNCED
        suppress(session, ADA, reason=reason, source="dsn", list_id=list_id, now=MORNING)


def reason_of(engine: Engine, edition_id: int, subscriber_id: int) -> Reason | None:
    with reading(engine) as session:
        return session.get_one(Delivery, (edition_id, subscriber_id)).reason


@pytest.mark.parametrize("everywhere", [True, False])
def test_b26_planning_excludes_who_is_suppressed(
    engine: Engine, settings: Settings, smtpd: DevMail, everywhere: bool
) -> None:
    list_id = add_list(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    never_mail_ada(engine, EVERYWHERE if everywhere else list_id)

    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))

    assert states_of(engine, edition_id) == {ada: DeliveryState.EXCLUDED, bo: DeliveryState.WAITING}
    assert reason_of(engine, edition_id, ada) is Reason.SUPPRESSED


def test_b26_another_lists_suppression_keeps_nobody_from_this_one(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id, other_id = add_list(engine), add_list(engine, "evening")
    (ada,) = add_readers(engine, list_id, ["Ada"])
    never_mail_ada(engine, other_id)

    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))

    assert states_of(engine, edition_id) == {ada: DeliveryState.WAITING}


def test_b26_a_claim_excludes_who_was_suppressed_since_planning(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id = add_list(engine)
    ada, bo = add_readers(engine, list_id, ["Ada", "Bo"])
    edition_id = sending_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    never_mail_ada(engine)

    with Sender(engine, settings) as sender:
        sender.drain(seconds=5)

    assert states_of(engine, edition_id) == {ada: DeliveryState.EXCLUDED, bo: DeliveryState.SENT}
    assert reason_of(engine, edition_id, ada) is Reason.SUPPRESSED
    assert [mail.rcpt_to for mail in smtpd.messages()] == [("bo@readers.example",)]


def test_b26_a_test_mail_to_somebody_suppressed_is_refused(
    engine: Engine, settings: Settings, smtpd: DevMail
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["Ada"])
    edition_id = approved_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    never_mail_ada(engine)

    with transaction(engine) as session:
        allow_tests(session, str(ADA), by="Ed", now=MORNING)
        with pytest.raises(InputError, match="must not be mailed: suppressed"):
            request_test(session, edition_id, to=[ADA], by="Ed", most_per_minute=9, now=MORNING)


@pytest.mark.parametrize("kind", list(SystemMailKind))
def test_b26_a_waiting_mail_to_somebody_suppressed_since_is_not_sent_where_it_must_not_be(
    engine: Engine, kind: SystemMailKind
) -> None:
    now = utc_now()
    with transaction(engine) as session:
        post(session, kind, to=ADA, data={}, now=now)
    never_mail_ada(engine)

    with transaction(engine) as session:
        claimed = claim(session, now=now, lease=MINUTE)

    assert (claimed is None) is (kind in OBEYS_SUPPRESSION)
    if claimed is None:
        with reading(engine) as session:
            mail = session.scalars(select(SystemMail)).one()
        assert (mail.state, mail.reply) == (
            SystemMailState.FAILED,
            "the address was suppressed meanwhile",
        )

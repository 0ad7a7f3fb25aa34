from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, parse_address
from newsletter.audience.suppression import is_suppressed, suppress, suppress_many
from newsletter.models import Suppression, SuppressionReason

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
CY = parse_address("cy@readers.example")
DAILY, WEEKLY = 1, 2


def test_a_suppression_holds_on_every_list(session: Session) -> None:
    is_new = suppress(session, CY, reason=SuppressionReason.BOUNCED, source="dsn", now=NOW)

    assert is_new
    assert is_suppressed(session, CY, list_id=DAILY)
    assert is_suppressed(session, CY, list_id=WEEKLY)


def test_a_suppression_may_hold_on_one_list_alone(session: Session) -> None:
    suppress(session, CY, reason=SuppressionReason.COMPLAINED, source="arf", list_id=DAILY, now=NOW)

    assert is_suppressed(session, CY, list_id=DAILY)
    assert not is_suppressed(session, CY, list_id=WEEKLY)


def test_a_second_suppression_leaves_the_first_as_it_was(session: Session) -> None:
    suppress(session, CY, reason=SuppressionReason.COMPLAINED, source="arf", now=NOW)

    later = NOW + timedelta(days=1)
    is_new = suppress(session, CY, reason=SuppressionReason.BOUNCED, source="dsn", now=later)

    entry = session.scalars(select(Suppression)).one()
    assert not is_new
    assert (entry.reason, entry.source, entry.created_at) == (
        SuppressionReason.COMPLAINED,
        "arf",
        NOW,
    )


def test_b23_the_persons_own_word_outweighs_what_a_server_said(session: Session) -> None:
    suppress(session, CY, reason=SuppressionReason.BOUNCED, source="dsn", now=NOW)

    is_new = suppress(session, CY, reason=SuppressionReason.COMPLAINED, source="arf", now=NOW)

    entry = session.scalars(select(Suppression)).one()
    assert not is_new
    assert (entry.reason, entry.source) == (SuppressionReason.COMPLAINED, "arf")


def test_b26_the_hash_is_enough_since_the_person_may_be_erased(session: Session) -> None:
    suppress(session, address_hash(CY), reason=SuppressionReason.BOUNCED, source="dsn", now=NOW)

    assert is_suppressed(session, parse_address("CY@Readers.Example"), list_id=DAILY)


def test_the_entry_does_not_hold_the_address(session: Session) -> None:
    suppress(session, CY, reason=SuppressionReason.BOUNCED, source="dsn", now=NOW)

    entry = session.scalars(select(Suppression)).one()
    assert b"cy" not in entry.address_hash
    assert entry.address_hash == address_hash(CY)


def test_a_source_that_is_too_long_is_cut(session: Session) -> None:
    suppress(session, CY, reason=SuppressionReason.IMPORTED, source="s" * 300, now=NOW)

    assert len(session.scalars(select(Suppression.source)).one()) == 200


def test_suppressing_nobody_is_no_work(session: Session) -> None:
    assert suppress_many(session, {}, source="nothing", now=NOW) == 0

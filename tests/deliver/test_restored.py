"""F-32: a database that was restored from a backup sends nothing until somebody has armed it, and
then nobody twice.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, select, text

from newsletter.clock import utc_now
from newsletter.db import make_engine, reading, transaction
from newsletter.deliver import epoch, pump
from newsletter.deliver.arming import Armed, arm
from newsletter.deliver.epoch import may_send
from newsletter.deliver.sender import Sender
from newsletter.devmail.peer import DevMail
from newsletter.devmail.script import Close, Delay, Phase, Rule, Script
from newsletter.models import (
    THE_ONE,
    DeliveryState,
    EditionState,
    Installation,
    Settlement,
)
from newsletter.plan import planner, schedule
from newsletter.settings import Settings
from tests.newsroom import (
    add_list,
    add_readers,
    add_transport,
    approved_edition,
    assert_ledger_is_exact,
    count_states,
    edition_of,
    sending_edition,
)
from tests.smtpd import checked_devmail, smtpd

__all__ = ["smtpd"]

READERS = 60
SENT, UNCERTAIN, WAITING = DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.WAITING
SLOW = Rule(phase=Phase.DOT, action=Delay(seconds=0.02))


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "BATCH", 10)


@pytest.fixture
def back_up(engine: Engine, database_url: str, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Call it for a copy of the database as it is then, which later stands for the restored one."""
    copies: list[Engine] = []

    def copy() -> Engine:
        engine.dispose()
        url = make_url(database_url)
        if url.get_backend_name() == "sqlite":
            backup = str(tmp_path / "backup.db")
            shutil.copy(url.database or "", backup)
        else:
            backup = f"{url.database}_backup"
            _admin(engine, f"CREATE DATABASE {backup} TEMPLATE {url.database}")
        copies.append(make_engine(url.set(database=backup).render_as_string(hide_password=False)))
        return copies[-1]

    yield copy
    for each in copies:
        each.dispose()
        if each.dialect.name == "postgresql":
            _admin(engine, f"DROP DATABASE {each.url.database} WITH (FORCE)")


def _admin(engine: Engine, statement: str) -> None:
    admin = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(statement))
    admin.dispose()


def an_edition(engine: Engine, settings: Settings, port: int) -> int:
    list_id = add_list(engine)
    add_readers(engine, list_id, [f"r{number}" for number in range(READERS)])
    return sending_edition(engine, settings, [list_id], add_transport(engine, port, connections=2))


def drain(engine: Engine, settings: Settings) -> int:
    with Sender(engine, settings) as sender:
        return sender.drain(seconds=20)


def drain_until(engine: Engine, settings: Settings, peer: DevMail, *, mails: int) -> None:
    """Batches are finished, and the rest is left when the edition is paused."""
    with Sender(engine, settings) as sender, ThreadPoolExecutor(1) as threads:
        enough = lambda: len(peer.messages()) >= mails  # noqa: E731
        threads.submit(sender.drain, seconds=20, should_stop=enough).result()


def allowed(engine: Engine, folder: Path) -> bool:
    with reading(engine) as session:
        return may_send(session, folder)


def armed(engine: Engine, folder: Path) -> Armed:
    return arm(engine, folder, by="Ann", now=utc_now())


def test_nothing_is_sent_from_a_database_that_is_older_than_what_was_sent(
    engine: Engine, settings: Settings, folder: Path, smtpd: DevMail, back_up: Callable[[], Engine]
) -> None:
    edition_id = an_edition(engine, settings, smtpd.port)
    restored = back_up()
    drain(engine, settings)
    assert len(smtpd.messages()) == READERS

    assert not allowed(restored, folder)
    assert drain(restored, settings) == 0

    assert len(smtpd.messages()) == READERS
    assert count_states(restored, edition_id) == {WAITING: READERS}
    with reading(restored) as session:
        assert session.get_one(Installation, THE_ONE).disarmed_at is not None


def test_armed_it_knows_who_was_sent_and_mails_only_the_others(
    engine: Engine, settings: Settings, folder: Path, back_up: Callable[[], Engine]
) -> None:
    with checked_devmail(script=Script(rules=(SLOW,))) as peer:
        edition_id = an_edition(engine, settings, peer.port)
        restored = back_up()
        drain_until(engine, settings, peer, mails=15)
        mailed = len(peer.messages())
        assert 15 <= mailed < READERS
        drain(restored, settings)

        assert armed(restored, folder) == Armed(sent=mailed, uncertain=0, cancelled=())

        assert count_states(restored, edition_id) == {SENT: mailed, WAITING: READERS - mailed}
        assert_ledger_is_exact(restored, edition_id, peer)
        assert drain(restored, settings) > 0
        pump.turn(restored, folder, now=utc_now())
        assert edition_of(restored, edition_id).state is EditionState.SENT
        assert len(peer.messages()) == READERS
        assert_ledger_is_exact(restored, edition_id, peer)
        with reading(restored) as session:
            assert set(session.scalars(select(Settlement.by))) == {"Ann"}


def test_whose_answer_was_lost_is_in_doubt_after_arming(
    engine: Engine, settings: Settings, folder: Path, back_up: Callable[[], Engine]
) -> None:
    swallow = Rule(phase=Phase.AFTER_DOT, action=Close(), times=1)
    with checked_devmail(script=Script(rules=(swallow,))) as peer:
        edition_id = an_edition(engine, settings, peer.port)
        restored = back_up()
        drain(engine, settings)

        assert armed(restored, folder) == Armed(sent=READERS - 1, uncertain=1, cancelled=())

        assert count_states(restored, edition_id) == {SENT: READERS - 1, UNCERTAIN: 1}
        assert_ledger_is_exact(restored, edition_id, peer)


def test_arming_again_changes_nothing(
    engine: Engine, settings: Settings, folder: Path, smtpd: DevMail, back_up: Callable[[], Engine]
) -> None:
    edition_id = an_edition(engine, settings, smtpd.port)
    restored = back_up()
    drain(engine, settings)
    armed(restored, folder)

    assert armed(restored, folder) == Armed(sent=0, uncertain=0, cancelled=())

    assert count_states(restored, edition_id) == {SENT: READERS}


def test_an_edition_that_was_not_begun_when_the_backup_was_made_is_cancelled(
    engine: Engine, settings: Settings, folder: Path, smtpd: DevMail, back_up: Callable[[], Engine]
) -> None:
    list_id = add_list(engine)
    add_readers(engine, list_id, ["ada", "bo"])
    edition_id = approved_edition(engine, settings, [list_id], add_transport(engine, smtpd.port))
    restored = back_up()
    with transaction(engine) as session:
        schedule.send_now(session, edition_id, now=utc_now())
    planner.plan_edition(engine, edition_id, now=utc_now())
    drain(engine, settings)
    assert len(smtpd.messages()) == 2

    assert armed(restored, folder).cancelled == (edition_id,)

    assert edition_of(restored, edition_id).state is EditionState.CANCELLED


def test_the_number_of_an_edition_that_the_backup_does_not_know_stays_taken(
    engine: Engine, settings: Settings, folder: Path, smtpd: DevMail, back_up: Callable[[], Engine]
) -> None:
    restored = back_up()
    edition_id = an_edition(engine, settings, smtpd.port)
    drain(engine, settings)

    assert armed(restored, folder).cancelled == (edition_id,)

    assert edition_of(restored, edition_id).state is EditionState.CANCELLED


def test_a_backup_made_while_the_last_batch_was_being_sent_is_too_old_as_well(
    engine: Engine, settings: Settings, folder: Path, back_up: Callable[[], Engine]
) -> None:
    with checked_devmail(script=Script(rules=(SLOW,))) as peer:
        list_id = add_list(engine)
        add_readers(engine, list_id, [f"r{number}" for number in range(10)])
        transport = add_transport(engine, peer.port, connections=1)
        sending_edition(engine, settings, [list_id], transport)
        with Sender(engine, settings) as sender, ThreadPoolExecutor(1) as threads:
            drained = threads.submit(sender.drain, seconds=20)
            peer.wait_for(2)
            with reading(engine) as session:
                seen = session.get_one(Installation, THE_ONE).send_epoch
            drained.result()

        with transaction(engine) as session:
            session.get_one(Installation, THE_ONE).send_epoch = seen
        assert not allowed(engine, folder)


def test_another_installation_in_the_same_folder_is_none_of_its_business(
    engine: Engine, settings: Settings, folder: Path, smtpd: DevMail
) -> None:
    an_edition(engine, settings, smtpd.port)
    folder.mkdir()
    epoch.note(folder, epoch.Epoch("f" * 32, 1_000_000))

    assert drain(engine, settings) > 0
    assert allowed(engine, folder)


def test_notes_only_grow(folder: Path) -> None:
    folder.mkdir()

    for claims in (3, 12, 7):
        epoch.note(folder, epoch.Epoch("a" * 32, claims))

    assert epoch.noted(folder, "a" * 32) == 12
    assert epoch.noted(folder, "b" * 32) == 0

"""Undoing an import removes what it alone made, and nothing else."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience import import_undo
from newsletter.audience.consent import remove_from_list
from newsletter.audience.import_undo import Undone, start_undoing, undo_import, undone_of
from newsletter.audience.import_work import DEAD_AFTER, run_waiting
from newsletter.audience.importing import ImportPlan, import_file, receive_file
from newsletter.audience.subscribers import edit_subscriber, find_subscriber
from newsletter.audience.suppression import is_suppressed, suppress, suppressions_of
from newsletter.audience.tags import set_tags, tags_of
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import NotFoundError, StateError
from newsletter.models import (
    ConsentEvent,
    ConsentKind,
    Import,
    ImportState,
    LegalBasis,
    MailingList,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from tests.audience.people import EDITOR, READER, a_list

EVERYBODY = "email,name,status,tags\n" + "".join(
    f"{name}@readers.example,{name.title()},{status},vip\n"
    for name, status in (("ada", "active"), ("bo", "unsubscribed"), ("cy", "bounced"))
)


@pytest.fixture
def list_id(engine: Engine) -> int:
    with transaction(engine) as session:
        return a_list(session).id


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with reading(engine) as session:
        yield session


def run(engine: Engine, list_id: int, text: str, **plan: Any) -> int:
    return import_file(
        engine,
        io.BytesIO(text.encode()),
        ImportPlan(basis=LegalBasis.CONSENT, **plan),
        list_id=list_id,
        file_name="people.csv",
        by="ed",
        now=utc_now(),
    ).import_id


def undo(engine: Engine, import_id: int) -> Undone:
    return undo_import(engine, import_id, by="ed", now=utc_now())


def count(session: Session, table: Any) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def test_of_people_who_were_unknown_nothing_is_left(
    engine: Engine, list_id: int, session: Session
) -> None:
    import_id = run(engine, list_id, EVERYBODY)

    undone = undo(engine, import_id)

    assert undone == Undone(people=3, subscriptions=3, tags=3, suppressions=1)
    assert [count(session, table) for table in (Subscriber, Subscription, ConsentEvent)] == [0] * 3
    assert not is_suppressed(session, parse_address("cy@readers.example"), list_id=list_id)
    assert session.get_one(Import, import_id).state is ImportState.UNDONE


def test_who_was_there_before_stays_as_they_were(
    engine: Engine, list_id: int, session: Session
) -> None:
    run(engine, list_id, "email\nada@readers.example\n")
    with transaction(engine) as writing:
        set_tags(writing, 1, ["own"], origin=EDITOR, now=utc_now())
        bo = parse_address("bo@readers.example")
        suppress(writing, bo, reason=SuppressionReason.BOUNCED, source="dsn", now=utc_now())

    undone = undo(engine, run(engine, list_id, EVERYBODY))

    assert session.scalars(select(Subscriber.address)).all() == ["ada@readers.example"]
    assert tags_of(session, 1) == ["own"]
    assert is_suppressed(session, bo, list_id=list_id)
    assert undone == Undone(people=1, subscriptions=1, tags=2, suppressions=1)


def test_who_is_on_another_list_keeps_that_and_the_evidence(
    engine: Engine, list_id: int, session: Session
) -> None:
    with transaction(engine) as writing:
        weekly = a_list(writing, "weekly").id
    run(engine, weekly, "email\nada@readers.example\n")

    undo(engine, run(engine, list_id, "email\nada@readers.example\n"))

    kinds = session.scalars(
        select(ConsentEvent.kind).where(ConsentEvent.list_id == list_id).order_by(ConsentEvent.id)
    ).all()
    assert session.scalars(select(Subscription.list_id)).all() == [weekly]
    assert kinds == [ConsentKind.IMPORTED, ConsentKind.IMPORT_UNDONE]


def test_who_left_meanwhile_stays_gone_and_cannot_be_brought_back(
    engine: Engine, list_id: int, session: Session
) -> None:
    import_id = run(engine, list_id, "email\nada@readers.example\n")
    with transaction(engine) as writing:
        person = find_subscriber(writing, "ada@readers.example")
        mailing_list = writing.get_one(MailingList, list_id)
        remove_from_list(writing, person, mailing_list, origin=READER, now=utc_now())

    undone = undo(engine, import_id)
    run(engine, list_id, "email\nada@readers.example\n")

    assert undone == Undone()
    assert session.scalars(select(Subscription.status)).all() == [SubscriptionStatus.UNSUBSCRIBED]


def test_who_said_something_about_themselves_is_not_removed(
    engine: Engine, list_id: int, session: Session
) -> None:
    import_id = run(engine, list_id, "email\nada@readers.example\nbo@readers.example\n")
    with transaction(engine) as writing:
        edit_subscriber(writing, 1, {"name": "Ada"}, origin=READER, now=utc_now())

    undone = undo(engine, import_id)

    assert undone == Undone(people=1, subscriptions=2)
    assert session.scalars(select(Subscriber.name)).all() == ["Ada"]


def test_an_undo_that_was_broken_off_is_finished_by_doing_it_again(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_undo, "IDS_PER_SLICE", 2)
    import_id = run(
        engine, list_id, "email\n" + "".join(f"r{number}@readers.example\n" for number in range(9))
    )
    slices = iter(range(2))
    undo_slice = import_undo._undo_slice

    def broken(*arguments: Any, **options: Any) -> Undone:
        next(slices)
        return undo_slice(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(import_undo, "_undo_slice", broken)
        with pytest.raises(StopIteration):
            undo(engine, import_id)
    undo(engine, import_id)

    assert count(session, Subscriber) == 0


@pytest.mark.parametrize("store", ["sqlite"])
def test_only_what_has_run_can_be_undone(engine: Engine, list_id: int) -> None:
    dry = run(engine, list_id, EVERYBODY, is_dry_run=True)
    received = receive_file(
        engine, [b"email\n"], list_id=list_id, file_name="x", by="ed", now=utc_now()
    )
    done = run(engine, list_id, EVERYBODY)
    undo(engine, done)

    for import_id in (dry, received, done):
        with pytest.raises(StateError):
            undo(engine, import_id)
    with pytest.raises(NotFoundError):
        undo(engine, 999)


def reason(session: Session, name: str) -> SuppressionReason | None:
    found = suppressions_of(session, parse_address(f"{name}@readers.example"))
    return found[0].reason if found else None


@pytest.mark.parametrize(
    ("status", "then", "kept"),
    [
        ("bounced", SuppressionReason.COMPLAINED, SuppressionReason.COMPLAINED),
        ("complained", SuppressionReason.COMPLAINED, SuppressionReason.COMPLAINED),
        ("bounced", SuppressionReason.BOUNCED, SuppressionReason.BOUNCED),
        ("blocked", SuppressionReason.ON_REQUEST, SuppressionReason.ON_REQUEST),
    ],
)
def test_whoever_somebody_else_suppressed_since_stays_suppressed(
    engine: Engine,
    list_id: int,
    session: Session,
    status: str,
    then: SuppressionReason,
    kept: SuppressionReason,
) -> None:
    import_id = run(engine, list_id, f"email,status\ncy@readers.example,{status}\n")
    with transaction(engine) as writing:
        cy = parse_address("cy@readers.example")
        suppress(writing, cy, reason=then, source="feedback loop", now=utc_now())

    undone = undo(engine, import_id)

    assert undone.suppressions == 0
    assert reason(session, "cy") is kept


def test_what_the_same_file_said_twice_is_taken_back_once(
    engine: Engine, list_id: int, session: Session
) -> None:
    first = run(engine, list_id, EVERYBODY)
    second = run(engine, list_id, EVERYBODY)

    undone = [undo(engine, each).suppressions for each in (second, first)]

    assert undone == [0, 1]
    assert reason(session, "cy") is None


def test_a_complaint_in_a_later_file_outlives_the_undoing_of_either(
    engine: Engine, list_id: int, session: Session
) -> None:
    bounced = run(engine, list_id, "email,status\ncy@readers.example,bounced\n")
    complained = run(engine, list_id, "email,status\ncy@readers.example,complained\n")

    undo(engine, bounced)
    undo(engine, complained)

    assert reason(session, "cy") is SuppressionReason.COMPLAINED


def test_a_worker_undoes_in_the_background_and_goes_on_where_it_was_broken_off(
    engine: Engine, list_id: int, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_undo, "IDS_PER_SLICE", 1)
    import_id = run(engine, list_id, EVERYBODY)
    started = start_undoing(engine, import_id, by="ed", now=utc_now(), is_background=True)
    stops = iter([False, True])

    run_waiting(engine, now=utc_now(), should_stop=lambda: next(stops, True))
    with reading(engine) as halfway:
        state, people = halfway.execute(select(Import.state, Import.undone)).one()
    run_waiting(engine, now=utc_now() + DEAD_AFTER * 2, should_stop=lambda: False)

    assert (started.state, state) == (ImportState.UNDOING, ImportState.UNDOING)
    assert people["people"] == 1
    job = session.get_one(Import, import_id)
    assert (job.state, job.undone_by) == (ImportState.UNDONE, "ed")
    assert undone_of(job) == Undone(people=3, subscriptions=3, tags=3, suppressions=1)

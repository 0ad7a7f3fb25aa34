"""T-34: what was kept for its time goes, and nothing else; figures stay."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, inspect, select, update
from sqlalchemy.orm import Session

from newsletter.addresses import parse_address
from newsletter.audience.answers import answer_requests
from newsletter.audience.confirmation import confirm
from newsletter.audience.retention import Cutoffs, Due, apply_retention, count_due
from newsletter.audience.signup import Form, Visit, request_signup
from newsletter.audience.signup_mail import Links
from newsletter.audience.suppression import is_suppressed, suppressions_of
from newsletter.db import reading, transaction
from newsletter.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Edition,
    EditionFigures,
    Event,
    EventKind,
    Import,
    ImportLine,
    MailingList,
    OptIn,
    Reason,
    RequestAnswer,
    SignupRequest,
    Subscriber,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from newsletter.models.partitions import (
    days_with_partition,
    drop_event_partition,
    ensure_event_partition,
)
from newsletter.settings import Settings
from tests.newsroom import MORNING, add_list, add_readers, leave, ringing_at, settings_for
from tests.track.people import edition_figures, mailed_morning

YEARS_LATER = datetime(2029, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _doorbell(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def left_at(engine: Engine, list_id: int, subscriber_id: int, at: datetime) -> None:
    leave(engine, list_id, subscriber_id)
    with transaction(engine) as session:
        session.get_one(Subscription, (list_id, subscriber_id)).left_at = at


def people(engine: Engine) -> set[int]:
    with reading(engine) as session:
        return set(session.scalars(select(Subscriber.id)))


def test_t34_whoever_left_every_list_long_ago_is_forgotten(
    engine: Engine, settings: Settings
) -> None:
    list_id, other_id = add_list(engine), add_list(engine, "evening")
    old, stays, lately, both = add_readers(engine, list_id, ["Old", "Stays", "Lately", "Both"])
    left_at(engine, list_id, old, MORNING)
    left_at(engine, list_id, lately, YEARS_LATER - timedelta(days=300))
    left_at(engine, list_id, both, MORNING)
    with transaction(engine) as session:
        session.add(
            Subscription(
                list_id=other_id,
                subscriber_id=both,
                status=SubscriptionStatus.CONFIRMED,
                joined_at=MORNING,
            )
        )

    gone = apply_retention(engine, settings=settings, now=YEARS_LATER)

    assert gone.people == 1
    assert people(engine) == {stays, lately, both}


def test_t34_zero_months_keep_people_for_good(engine: Engine, tmp_path: Path) -> None:
    list_id = add_list(engine)
    (old,) = add_readers(engine, list_id, ["Old"])
    left_at(engine, list_id, old, MORNING)
    settings = settings_for(tmp_path, keep_unsubscribed_months=0)

    gone = apply_retention(engine, settings=settings, now=YEARS_LATER)

    assert gone.people == 0
    assert people(engine) == {old}


def test_t34_whoever_is_forgotten_is_kept_off_their_list_and_comes_back_by_themselves(
    engine: Engine, settings: Settings
) -> None:
    list_id, other_id = add_list(engine), add_list(engine, "evening")
    (old,) = add_readers(engine, list_id, ["Old"])
    left_at(engine, list_id, old, MORNING)
    address = parse_address("old@readers.example")
    with transaction(engine) as session:
        session.execute(update(MailingList).values(is_public=True, opt_in=OptIn.SINGLE))

    apply_retention(engine, settings=settings, now=YEARS_LATER)
    with reading(engine) as session:
        assert [each.reason for each in suppressions_of(session, address)] == [
            SuppressionReason.LEFT
        ]
        assert is_suppressed(session, address, list_id=list_id)
        assert not is_suppressed(session, address, list_id=other_id)
    answer = signs_up(engine, settings, list_id)

    assert answer is RequestAnswer.CONFIRM, "a list with single opt-in asks whoever left"
    with transaction(engine) as session:
        reference = session.scalars(select(SignupRequest.reference)).one()
        links = Links.of(settings)
        confirm(session, reference, visit=Visit("", ""), links=links, now=YEARS_LATER)
    with reading(engine) as session:
        subscription = session.scalars(select(Subscription)).one()
        assert subscription.status is SubscriptionStatus.CONFIRMED
        assert not is_suppressed(session, address, list_id=list_id)


def signs_up(engine: Engine, settings: Settings, list_id: int) -> RequestAnswer | None:
    with transaction(engine) as session:
        form = Form(
            address=parse_address("old@readers.example"),
            lists=[session.get_one(MailingList, list_id)],
            language="",
            zone="",
            wording="Subscribe",
            url="https://news.harbour.example/s/harbour",
            visit=Visit("203.0.113.7", "Firefox"),
        )
        request_signup(session, form, now=YEARS_LATER)
    answer_requests(engine, settings=settings, now=YEARS_LATER)
    with reading(engine) as session:
        return session.scalars(select(SignupRequest.answer)).one()


def test_old_events_and_deliveries_go_and_their_figures_stay(
    engine: Engine, settings: Settings
) -> None:
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        session.execute(
            update(Edition).values(
                finished_at=session.get_one(Edition, morning.edition_id).started_at
            )
        )
        session.add(
            EditionFigures(edition_id=morning.edition_id, opens=2, clicks=1, unsubscribes=0)
        )
        for at in (MORNING, MORNING + timedelta(hours=30), YEARS_LATER):
            open_at(session, morning.edition_id, morning.ada, at)
        session.add(
            Attempt(
                edition_id=morning.edition_id,
                subscriber_id=morning.ada,
                at=MORNING,
                state=DeliveryState.FAILED,
                reason=Reason.REFUSED,
                reply="who is ada@readers.example",
            )
        )

    with reading(engine) as session:
        due = count_due(session, Cutoffs.of(settings, YEARS_LATER))
    gone = apply_retention(engine, settings=settings, now=YEARS_LATER)
    again = apply_retention(engine, settings=settings, now=YEARS_LATER)

    assert due == gone
    assert (gone.events, gone.deliveries, gone.attempts, gone.people) == (2, 2, 1, 0)
    assert again == Due(people=0, events=0, deliveries=0, attempts=0, import_lines=0)
    assert edition_figures(engine, morning.edition_id) == (2, 1, 0)
    with reading(engine) as session:
        assert session.scalars(select(Event.at)).all() == [YEARS_LATER]
        assert session.scalar(select(func.count()).select_from(Delivery)) == 0


def open_at(session: Session, edition_id: int, subscriber_id: int, at: datetime) -> None:
    ensure_event_partition(session, at)
    session.add(
        Event(
            at=at,
            sequence=f"{at:%s}-0",
            edition_id=edition_id,
            subscriber_id=subscriber_id,
            kind=EventKind.OPEN,
        )
    )


@pytest.mark.parametrize("store", ["postgresql"])
def test_on_postgresql_whole_partitions_go(engine: Engine, settings: Settings) -> None:
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        session.execute(update(Edition).values(finished_at=MORNING))
        open_at(session, morning.edition_id, morning.ada, MORNING)
        open_at(session, morning.edition_id, morning.ada, YEARS_LATER)

    apply_retention(engine, settings=settings, now=YEARS_LATER)

    tables = inspect(engine).get_table_names()
    assert "event_20261120" not in tables
    assert "event_20290302" in tables
    assert f"delivery_{morning.edition_id}" not in tables


@pytest.mark.parametrize("store", ["postgresql"])
def test_a_partition_is_dropped_also_when_it_was_detached_before_somebody_died(
    engine: Engine,
) -> None:
    with transaction(engine) as session:
        ensure_event_partition(session, MORNING)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE event DETACH PARTITION event_20261120")

    drop_event_partition(engine, MORNING.date())

    with reading(engine) as session:
        assert days_with_partition(session) == []


def test_what_is_under_way_is_never_too_old(engine: Engine, settings: Settings) -> None:
    morning = mailed_morning(engine)
    with transaction(engine) as session:
        session.execute(update(Edition).values(finished_at=None))

    gone = apply_retention(engine, settings=settings, now=YEARS_LATER)

    assert gone.deliveries == 0
    assert people(engine) == {morning.ada, morning.bo}


def test_reports_of_imports_go_and_the_import_itself_stays(
    engine: Engine, settings: Settings
) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        for ended_at in (MORNING, YEARS_LATER, None):
            job = Import(
                list_id=list_id, file_name="a.csv", by="ed", created_at=MORNING, ended_at=ended_at
            )
            job.outcomes, job.statuses = {}, {}
            session.add(job)
            session.flush()
            session.execute(
                insert(ImportLine).values(
                    import_id=job.id, first_line=2, last_line=9, outcome="created"
                )
            )

    gone = apply_retention(engine, settings=settings, now=YEARS_LATER)

    assert gone.import_lines == 1
    with reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Import)) == 3


def test_it_ends_when_its_time_is_up(engine: Engine, settings: Settings) -> None:
    list_id = add_list(engine)
    (old,) = add_readers(engine, list_id, ["Old"])
    left_at(engine, list_id, old, MORNING)

    gone = apply_retention(engine, settings=settings, now=YEARS_LATER, budget=timedelta(0))

    assert gone.people == 0
    assert people(engine) == {old}

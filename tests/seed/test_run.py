"""A made-up newsroom is one that the product could have come to by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from newsletter.addresses import address_hash, parse_address
from newsletter.audience.suppression import is_suppressed
from newsletter.db import transaction
from newsletter.errors import StateError
from newsletter.models import (
    CompiledEdition,
    Delivery,
    Edition,
    EditionState,
    ListDayFigures,
    ListFigures,
    MailingList,
    Subscriber,
)
from newsletter.plan.editions import briefing_of, newest_revision
from newsletter.render.compiled import Compiled, edition_page
from newsletter.report.counting import counted
from newsletter.report.editions import edition_statuses
from newsletter.report.recount import check_figures
from newsletter.seed.editions import calendar
from newsletter.seed.run import WITH_ROWS, seed
from newsletter.settings import Settings
from tests.audience.people import a_list
from tests.newsroom import ringing_at

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SUBSCRIBERS, EDITIONS = 600, 9


@pytest.fixture(autouse=True)
def _bells(redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ringing_at(redis_server, monkeypatch):
        yield


@pytest.fixture
def seeded(engine: Engine) -> Engine:
    seed(engine, subscribers=SUBSCRIBERS, editions=EDITIONS, settings=Settings(), now=NOW)
    return engine


def test_figures_are_what_the_rows_say_and_each_sum_holds(seeded: Engine) -> None:
    assert check_figures(seeded) == []
    with Session(seeded) as session:
        statuses = edition_statuses(session, range(1, EDITIONS + 1))
        rows = dict(
            session.execute(
                select(Delivery.edition_id, func.count()).group_by(Delivery.edition_id)
            ).all()
        )
        assert counted(session, EDITIONS).edition["opens"] > 0
    assert len(statuses) == EDITIONS
    for status in statuses.values():
        assert status.waiting == status.deferred == 0
        assert status.planned == (
            status.sent + sum(status.excluded.values()) + status.failed + status.uncertain
        )
    newest = range(EDITIONS - WITH_ROWS + 1, EDITIONS + 1)
    assert rows == {each: statuses[each].planned for each in newest}


def test_the_days_add_up_to_the_size_of_each_list(seeded: Engine) -> None:
    with Session(seeded) as session:
        grown = session.execute(
            select(
                ListDayFigures.list_id,
                func.sum(ListDayFigures.joined) - func.sum(ListDayFigures.left),
            ).group_by(ListDayFigures.list_id)
        )
        sizes = session.execute(select(ListFigures.list_id, ListFigures.confirmed))
        assert dict(grown.all()) == dict(sizes.all())


def test_people_can_be_found_by_their_address_and_some_are_suppressed(seeded: Engine) -> None:
    with Session(seeded) as session:
        people = session.scalars(select(Subscriber).order_by(Subscriber.id)).all()
        suppressed = [
            each.id for each in people if is_suppressed(session, each.address_hash, list_id=1)
        ]
        one = people[7]
        assert one.address_hash == address_hash(parse_address(one.address))
        assert suppressed == [97, 194, 291, 388, 485, 582]


def test_editions_say_something_and_two_are_being_made(seeded: Engine) -> None:
    with Session(seeded) as session:
        editions = session.scalars(select(Edition).order_by(Edition.id)).all()
        briefings = [briefing_of(newest_revision(session, each)) for each in editions]

    assert [each.state for each in editions[-2:]] == [EditionState.DRAFT, EditionState.SCHEDULED]
    assert all(each.state is EditionState.SENT for each in editions[:-2])
    assert len({each.title for each in briefings}) > EDITIONS // 2
    assert all(len(list(each.stories)) == 12 for each in briefings)


def test_the_page_of_an_edition_says_what_the_edition_is_called(seeded: Engine) -> None:
    with Session(seeded) as session:
        editions = session.scalars(select(Edition).order_by(Edition.id)).all()
        titles = {each.id: newest_revision(session, each).subject for each in editions}
        forms = session.execute(select(CompiledEdition.edition_id, CompiledEdition.form)).all()

    pages = {edition_id: edition_page(Compiled.from_bytes(form)) for edition_id, form in forms}

    assert pages.keys() == titles.keys()
    for edition_id, page in pages.items():
        assert f"<title>{titles[edition_id]}</title>" in unescape(page)


def test_a_database_that_holds_something_is_left_alone(engine: Engine) -> None:
    with transaction(engine) as session:
        a_list(session)

    with pytest.raises(StateError, match="holds lists already"):
        seed(engine, subscribers=100, editions=1, settings=Settings(), now=NOW)

    with Session(engine) as session:
        assert session.scalar(select(func.count()).select_from(MailingList)) == 1


def test_the_past_goes_back_from_yesterday_day_by_day() -> None:
    past = calendar(40, now=NOW)

    assert len(past) == 40
    assert past[-1].day == NOW.date() - timedelta(days=1)
    assert [each.at for each in past] == sorted(each.at for each in past)
    assert len({(each.place, each.day) for each in past}) == 40
    assert {each.day.weekday() for each in past if each.place == 3} == {2}, "science on Wednesdays"

"""An edition while it is sent: figures from counters, people in trouble, pausing and settling."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from newsletter.db import reading
from newsletter.models import Delivery, DeliveryState, EditionState, Role
from newsletter.report.sending import by_provider, due_people, people_to_correct, speed_since
from tests.desk import Desk
from tests.newsroom import assert_ledger_is_exact, count_states
from tests.site import Member, Site, text_of

SENT, DEFERRED, FAILED, UNCERTAIN = (
    DeliveryState.SENT,
    DeliveryState.DEFERRED,
    DeliveryState.FAILED,
    DeliveryState.UNCERTAIN,
)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def editor(site: Site) -> Member:
    return site.member(Role.EDITOR)


def sending_of(edition_id: int) -> str:
    return f"/newsroom/editions/{edition_id}/sending"


def test_the_page_shows_what_became_of_everybody(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, SENT, DEFERRED, FAILED)

    page = text_of(editor.get(sending_of(edition_id)))

    assert "50.0 % settled" in page
    for words in ("planned 4", "sent 1", "waiting 1", "deferred 1", "failed 1"):
        assert words in page
    assert "550 5.1.1 User unknown" in page


def test_the_servers_words_are_for_editors(desk: Desk, site: Site) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, FAILED)
    viewer = site.member(Role.VIEWER)

    page = viewer.get(sending_of(edition_id))
    people = viewer.get(f"{sending_of(edition_id)}/failed")

    assert "User unknown" not in page.text
    assert people.status_code == 403


def test_the_live_part_measures_the_speed_since_it_was_asked_before(
    desk: Desk, editor: Member
) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, SENT, SENT)
    since = int((datetime.now(UTC) - timedelta(seconds=2)).timestamp())

    part = editor.get(f"{sending_of(edition_id)}/live?since={since}&settled=0&page=sending-False")

    assert "<html" not in part.text
    assert "a second" in text_of(part)
    assert 'hx-trigger="every 2s"' in part.text


@pytest.mark.parametrize("query", ["since=x&settled=1", "since=99999999999&settled=1", "since=1"])
def test_an_odd_sample_is_taken_for_none(desk: Desk, editor: Member, query: str) -> None:
    part = editor.get(f"{sending_of(desk.sending())}/live?{query}&page=sending-False")

    assert part.status_code == 200
    assert "measuring" in text_of(part)


def test_the_page_is_loaded_anew_when_something_else_can_be_done(
    desk: Desk, editor: Member
) -> None:
    edition_id = desk.sending()
    editor.post(f"{sending_of(edition_id)}/pause")

    part = editor.get(f"{sending_of(edition_id)}/live?page=sending-False")

    assert part.headers["hx-refresh"] == "true"


def test_it_is_paused_and_goes_on(desk: Desk, site: Site, editor: Member) -> None:
    edition_id = desk.sending()

    refused = site.member(Role.WRITER).post(f"{sending_of(edition_id)}/pause")
    editor.post(f"{sending_of(edition_id)}/pause")
    paused = desk.state(edition_id)
    editor.post(f"{sending_of(edition_id)}/resume")

    assert refused.status_code == 403
    assert paused is EditionState.PAUSED
    assert desk.state(edition_id) is EditionState.SENDING
    assert desk.audited()[-2:] == ["edition paused", "edition resumed"]


def test_what_has_not_begun_has_nothing_to_watch(desk: Desk, editor: Member) -> None:
    answer = editor.get(sending_of(desk.approved()))

    assert answer.status_code == 409
    assert "has not begun" in text_of(answer)


def test_people_in_trouble_are_named_with_the_reason(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, SENT, DEFERRED, FAILED)

    page = text_of(editor.get(f"{sending_of(edition_id)}/deferred"))

    assert "bo@readers.example" in page
    assert "451 4.7.1 Greylisted" in page
    assert "cy@readers.example" not in page
    assert editor.get(f"{sending_of(edition_id)}/nonsense").status_code == 404


def test_one_in_doubt_was_mailed_and_another_is_mailed_again(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, UNCERTAIN, UNCERTAIN)
    with reading(desk.engine) as session:
        first, second = [
            each.subscriber_id
            for each in session.query(Delivery).order_by(Delivery.subscriber_id).limit(2)
        ]

    editor.post(f"{sending_of(edition_id)}/settle", {"person": str(first), "choice": "sent"})
    editor.post(f"{sending_of(edition_id)}/settle", {"everybody": "1", "choice": "again"})
    none_left = editor.post(
        f"{sending_of(edition_id)}/settle", {"person": str(second), "choice": "sent"}
    )

    assert count_states(desk.engine, edition_id) == {SENT: 1, DeliveryState.WAITING: 3}
    assert none_left.status_code == 409
    assert desk.audited()[-2:] == ["doubts settled", "doubts settled"]
    assert_ledger_is_exact(desk.engine, edition_id)


def test_the_live_part_reads_no_delivery(desk: Desk, editor: Member) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, SENT, SENT, SENT)
    asked: list[str] = []

    @event.listens_for(desk.engine, "before_cursor_execute")
    def _note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    editor.get(f"{sending_of(edition_id)}/live?page=sending-False")

    event.remove(desk.engine, "before_cursor_execute", _note)
    assert asked
    for table in ("delivery", "subscription", "subscriber"):
        assert not [each for each in asked if f"FROM {table} " in each or f"JOIN {table} " in each]


def test_shares_by_provider_add_up(desk: Desk) -> None:
    edition_id = desk.sending()
    desk.settle(edition_id, SENT, DEFERRED, FAILED)

    with reading(desk.engine) as session:
        shares = by_provider(session, edition_id)
        due = due_people(session, edition_id, now=datetime.max.replace(tzinfo=UTC))
        corrected = people_to_correct(session, edition_id, upto=1)

    assert sum(each.people for each in shares) == 4
    assert [(each.sent, each.deferred, each.failed, each.waiting) for each in shares] == [
        (1, 1, 1, 1)
    ]
    assert (due, corrected) == (1, (1, 1))


def test_the_time_that_is_left_is_that_of_who_is_due() -> None:
    speed = speed_since(100, NOON, settled=300, due=400, now=NOON + timedelta(seconds=20))
    still = speed_since(100, NOON, settled=100, due=400, now=NOON + timedelta(seconds=20))

    assert (speed.per_second, speed.remaining) == (10.0, timedelta(seconds=40))
    assert (still.per_second, still.remaining) == (0.0, None)

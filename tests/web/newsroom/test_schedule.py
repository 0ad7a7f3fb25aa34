"""Choosing when an edition goes out, and pulling that back."""

from datetime import time, timedelta

import pytest
from sqlalchemy import select

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import EditionState, Role, Wave
from newsletter.plan.slots import NewSlot, set_slot
from tests.desk import Desk, hidden_field
from tests.site import Member, Site, text_of

TOMORROW = (utc_now() + timedelta(days=1)).date()


def schedule_of(edition_id: int) -> str:
    return f"/newsroom/editions/{edition_id}/schedule"


def local(**changes: str) -> dict[str, str]:
    chosen = {"how": "local", "day": str(TOMORROW), "at": "07:00", "past": "send", "deadline": "4"}
    return chosen | changes


@pytest.fixture
def editor(site: Site) -> Member:
    return site.member(Role.EDITOR)


def test_a_small_edition_is_sent_at_once(desk: Desk, editor: Member) -> None:
    edition_id = desk.approved()

    answer = editor.post(schedule_of(edition_id), {"how": "now"})

    assert answer.headers["location"] == f"/newsroom/editions/{edition_id}/sending"
    assert desk.state(edition_id) is EditionState.SENDING
    assert "edition sent" in desk.audited()


def test_a_large_one_needs_its_number_and_can_be_pulled_back(desk: Desk, editor: Member) -> None:
    desk.confirm_above(3)
    edition_id = desk.approved()

    refused = editor.post(schedule_of(edition_id), {"how": "now"})
    begun = editor.post(schedule_of(edition_id), {"how": "now", "people": "4"})
    page = editor.get(schedule_of(edition_id))
    scheduled = desk.state(edition_id)
    editor.post(f"{schedule_of(edition_id)}/pull-back")

    assert refused.status_code == 422
    assert "type 4 to confirm" in text_of(refused)
    assert begun.status_code == 303
    assert scheduled is EditionState.SCHEDULED
    assert "It starts in" in text_of(page)
    assert "Until then nothing is sent." in text_of(page)
    assert "Pull back" in text_of(page)
    assert desk.state(edition_id) is EditionState.APPROVED


def test_more_people_than_an_hour_s_cap_are_refused_on_the_page_and_in_the_log(
    site: Site, desk: Desk, editor: Member
) -> None:
    """S-31."""
    desk.set_up("editors_an_hour", 6)
    first, second = desk.approved(), desk.approved()
    editor.post(schedule_of(first), {"how": "now"})

    refused = editor.post(schedule_of(second), {"how": "now"})
    by_admin = site.member(Role.ADMIN).post(schedule_of(second), {"how": "now"})

    assert refused.status_code == 409
    assert "Editors may send to at most 6 people an hour" in text_of(refused)
    assert "it can be sent from" in text_of(refused)
    assert by_admin.status_code == 303
    assert desk.audited()[-3:] == ["edition sent", "sending refused", "edition sent"]


def test_neither_a_slot_nor_an_approval_gets_around_the_cap(site: Site, desk: Desk) -> None:
    """S-31."""
    editor = site.member(Role.EDITOR)
    desk.set_up("editors_an_hour", 2)
    approved, draft = desk.approved(), desk.draft()
    with transaction(desk.engine) as session:
        slot = NewSlot(frozenset(range(7)), time(7), zone="UTC")
        set_slot(session, desk.list_id, slot, now=utc_now())
    slots = [f"harbour {TOMORROW + timedelta(days=days)}" for days in (0, 1)]

    filled = editor.post(f"{schedule_of(approved)}/slot", {"slot": slots[0]})
    editor.post(f"{schedule_of(draft)}/slot", {"slot": slots[1]})
    review = editor.get(f"/newsroom/editions/{draft}/review")
    fields = {"hash": hidden_field(review.text, "hash")}
    signed = editor.post(f"/newsroom/editions/{draft}/review/approve", fields)

    assert (filled.status_code, signed.status_code) == (409, 409)
    assert "Editors may send to at most 2 people" in text_of(filled)
    assert "Editors may send to at most 2 people" in text_of(signed)
    assert desk.state(approved) is EditionState.APPROVED
    assert desk.state(draft) is EditionState.DRAFT
    assert desk.audited().count("sending refused") == 2


def test_at_a_time_in_a_named_zone(desk: Desk, editor: Member) -> None:
    edition_id = desk.approved()

    editor.post(schedule_of(edition_id), local(how="at", zone="Asia/Shanghai"))

    with reading(desk.engine) as session:
        wave = session.scalars(select(Wave).where(~Wave.is_sweep)).one()
    assert (wave.due_at.date(), wave.due_at.hour) == (TOMORROW - timedelta(days=1), 23)
    assert desk.state(edition_id) is EditionState.SCHEDULED


def test_the_waves_of_a_local_time_are_shown_before_it_is_chosen(
    desk: Desk, editor: Member
) -> None:
    edition_id = desk.approved_with_zones("Europe/Berlin", "Asia/Shanghai")

    part = editor.get(f"{schedule_of(edition_id)}/preview", params=local())
    editor.post(schedule_of(edition_id), local())

    said = text_of(part)
    assert "Europe/Berlin" in said
    assert "Asia/Shanghai" in said
    assert "<html" not in part.text
    assert "csrf" not in str(part.request.url)
    assert desk.state(edition_id) is EditionState.SCHEDULED
    assert "Asia/Shanghai" in text_of(editor.get(schedule_of(edition_id)))


def test_zones_that_have_passed_today_are_told_apart(desk: Desk, editor: Member) -> None:
    edition_id = desk.approved_with_zones("Pacific/Kiritimati", "Pacific/Pago_Pago")
    today = str((utc_now() - timedelta(hours=11)).date())

    at_once = text_of(
        editor.get(f"{schedule_of(edition_id)}/preview", params=local(day=today, at="00:00"))
    )
    left_out = text_of(
        editor.get(
            f"{schedule_of(edition_id)}/preview",
            params=local(day=today, at="00:00", past="skip"),
        )
    )

    assert "has passed there" in at_once
    assert "left out" in left_out


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (local(at="25:00"), "at: write a time of day"),
        (local(day="31 March"), "day:"),
        (local(deadline="100"), "deadline: write 1 to 24 hours"),
        (local(how="at", zone="Mars/Base"), "zone: write an IANA time zone"),
        (local(how="at", zone="UTC", day="2020-01-01"), "nobody would be mailed"),
        ({"how": "someday", "day": str(TOMORROW), "at": "07:00", "deadline": "4"}, "choose now"),
    ],
)
def test_an_odd_choice_is_told_and_what_was_typed_stays(
    desk: Desk, editor: Member, fields: dict[str, str], words: str
) -> None:
    edition_id = desk.approved()

    answer = editor.post(schedule_of(edition_id), fields)

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert desk.state(edition_id) is EditionState.APPROVED


def test_what_is_not_approved_is_not_sent(desk: Desk, editor: Member) -> None:
    edition_id = desk.approved()
    desk.change(edition_id)

    answer = editor.post(schedule_of(edition_id), {"how": "now"})

    assert answer.status_code == 409
    assert "Approve it first" in text_of(answer)


def test_a_writer_neither_sends_nor_pulls_back(desk: Desk, site: Site) -> None:
    edition_id = desk.approved()
    writer = site.member(Role.WRITER)

    assert writer.post(schedule_of(edition_id), {"how": "now"}).status_code == 403
    assert writer.post(f"{schedule_of(edition_id)}/pull-back").status_code == 403
    assert desk.state(edition_id) is EditionState.APPROVED


def test_an_approved_edition_fills_a_slot_and_is_scheduled_for_it(
    desk: Desk, editor: Member
) -> None:
    edition_id = desk.approved()
    with transaction(desk.engine) as session:
        slot = NewSlot(weekdays=frozenset(range(7)), at=time(6), zone="UTC")
        set_slot(session, desk.list_id, slot, now=utc_now())

    offered = editor.get(schedule_of(edition_id)).text
    editor.post(f"{schedule_of(edition_id)}/slot", {"slot": f"harbour {TOMORROW}"})

    assert f'value="harbour {TOMORROW}"' in offered
    assert desk.state(edition_id) is EditionState.SCHEDULED


def test_a_slot_of_another_list_is_not_filled(desk: Desk, editor: Member) -> None:
    answer = editor.post(f"{schedule_of(desk.approved())}/slot", {"slot": f"noon {TOMORROW}"})

    assert answer.status_code == 422


def test_times_are_in_the_zone_of_who_looks(desk: Desk, site: Site, editor: Member) -> None:
    edition_id = desk.approved()
    editor.post(schedule_of(edition_id), local(how="at", zone="UTC", at="12:00"))

    page = text_of(site.member(Role.VIEWER, zone="Asia/Kolkata").get(schedule_of(edition_id)))

    assert "17:30 IST" in page

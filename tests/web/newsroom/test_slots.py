"""The pages of daily slots: when, what fills them, days off, and where alarms go."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    AlarmCall,
    AlarmTarget,
    AuditEntry,
    EditionList,
    MailingList,
    Role,
    Slot,
    SlotHoliday,
)
from newsletter.plan.alarm_calls import call_targets
from newsletter.plan.editions import content_of, create_edition
from tests.newsroom import a_briefing, add_list, settings_for
from tests.site import Member, Site, text_of
from tests.webserver import Reply, loopback_fetcher, running_web_server

WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
FORM = {
    "list": "harbour",
    "days": WEEKDAYS,
    "at": "07:00",
    "zone": "",
    "ready": "60",
    "alarm": "15",
    "deadline": "240",
}


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.queue.ring", lambda *_: None)


@pytest.fixture
def list_id(engine: Engine) -> int:
    return add_list(engine)


@pytest.fixture
def editor(site: Site, list_id: int) -> Member:
    return site.member(Role.EDITOR)


def slots(engine: Engine) -> list[Slot]:
    with reading(engine) as session:
        return list(session.scalars(select(Slot)))


def test_a_slot_is_set_and_the_coming_days_show_it(editor: Member, engine: Engine) -> None:
    empty = editor.get("/newsroom/slots")

    answer = editor.post("/newsroom/slots", FORM)

    page = editor.get("/newsroom/slots")
    assert "No slot yet" in text_of(empty)
    assert answer.status_code == 303
    assert [(slot.weekdays, slot.zone, slot.ready_minutes) for slot in slots(engine)] == [
        (127, None, 60)
    ]
    assert text_of(page).count("07:00 local time") == 10
    assert "1 h before" in text_of(page)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("days", [], "one weekday"),
        ("at", "quarter past", "07:00"),
        ("zone", "Europe/Atlantis", "time zone"),
        ("ready", "99999", "up to a day"),
        ("deadline", "", "up to a day"),
    ],
)
def test_a_mistake_keeps_what_was_typed(
    editor: Member, engine: Engine, field: str, value: object, words: str
) -> None:
    answer = editor.post("/newsroom/slots", {**FORM, "zone": "Europe/Berlin", field: value})

    assert answer.status_code == 422
    assert words in text_of(answer)
    assert slots(engine) == []
    if field != "zone":
        assert 'value="Europe/Berlin"' in answer.text


def test_a_day_off_has_no_slot_and_can_be_taken_back(editor: Member, engine: Engine) -> None:
    editor.post("/newsroom/slots", FORM)
    day = {"day": str((utc_now() + timedelta(days=3)).date())}

    editor.post("/newsroom/slots/1/day-off", day)
    off = editor.get("/newsroom/slots")
    editor.post("/newsroom/slots/1/day-off", day)
    editor.post("/newsroom/slots/1/day-on", day)

    assert "day off" in text_of(off)
    with reading(engine) as session:
        assert session.scalars(select(SlotHoliday)).all() == []


def test_a_draft_fills_a_day(editor: Member, engine: Engine, list_id: int, tmp_path: Path) -> None:
    editor.post("/newsroom/slots", FORM)
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(a_briefing(), ""),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings_for(tmp_path),
            created_by="Ada",
            now=utc_now(),
        )
    day = (utc_now() + timedelta(days=2)).date()

    editor.post("/newsroom/slots/1/fill", {"day": str(day), "edition": str(edition.id)})
    twice = editor.post("/newsroom/slots/1/fill", {"day": "soon", "edition": str(edition.id)})

    with reading(engine) as session:
        assert session.get_one(EditionList, (edition.id, 0)).slot_date == day
    assert "Harbour Reopens After the Storm" in text_of(editor.get("/newsroom/slots"))
    assert twice.status_code == 422


def test_a_removed_slot_is_gone(editor: Member, engine: Engine) -> None:
    editor.post("/newsroom/slots", FORM)

    answer = editor.post("/newsroom/slots/1/remove")

    assert answer.status_code == 303
    assert slots(engine) == []
    with reading(engine) as session:
        actions = session.scalars(select(AuditEntry.action)).all()
    assert sorted(actions) == ["slot removed", "slot set"]


def test_a_viewer_sees_slots_and_changes_none(site: Site, editor: Member, engine: Engine) -> None:
    editor.post("/newsroom/slots", FORM)
    viewer = site.member(Role.VIEWER)

    page = viewer.get("/newsroom/slots")
    answers = [
        viewer.post("/newsroom/slots", FORM),
        viewer.post("/newsroom/slots/1/remove"),
        viewer.post("/newsroom/slots/1/day-off", {"day": "2026-12-24"}),
        viewer.post("/newsroom/slots/alarms", {"list": "harbour", "url": "https://a.example/"}),
    ]

    assert "07:00" in text_of(page)
    assert "<form" not in page.text.partition("<main")[2]
    assert [answer.status_code for answer in answers] == [403] * 4


def test_whoever_works_for_another_list_finds_nothing(
    site: Site, editor: Member, engine: Engine
) -> None:
    editor.post("/newsroom/slots", FORM)
    other = add_list(engine, "other")
    stranger = site.member(Role.ADMIN, lists={other: Role.ADMIN})

    answers = [
        stranger.get("/newsroom/slots?list=harbour"),
        stranger.post("/newsroom/slots", FORM),
        stranger.post("/newsroom/slots/1/remove"),
        stranger.post("/newsroom/slots/1/fill", {"day": "2026-12-24", "edition": "1"}),
        stranger.post("/newsroom/slots/alarms", {"list": "harbour", "url": "https://a.example/"}),
        stranger.post("/newsroom/slots/alarms/try", {"list": "harbour"}),
    ]

    assert [answer.status_code for answer in answers] == [404] * 6


def test_an_admin_sets_the_address_of_alarms_and_tries_it(
    site: Site, list_id: int, engine: Engine
) -> None:
    admin = site.member(Role.ADMIN)

    with running_web_server(lambda _: Reply(b"<b>thanks</b>")) as server:
        kept = admin.post("/newsroom/slots/alarms", {"list": "harbour", "url": server.url()})
        admin.post("/newsroom/slots/alarms/try", {"list": "harbour"})
        call_targets(engine, loopback_fetcher(), clock=utc_now)
    page = admin.get("/newsroom/slots")

    assert re.search(r"whsec_[A-Za-z0-9+/=]{40,}", kept.text)
    assert "whsec_" not in page.text
    assert "&lt;b&gt;thanks" in page.text
    assert len(server.asked) == 1
    with reading(engine) as session:
        assert session.scalars(select(AlarmCall.status)).all() == [200]


def test_an_address_is_changed_renewed_and_removed(
    site: Site, list_id: int, engine: Engine
) -> None:
    admin = site.member(Role.ADMIN)
    admin.post("/newsroom/slots/alarms", {"list": "harbour", "url": "https://a.example/"})

    bad = admin.post("/newsroom/slots/alarms", {"list": "harbour", "url": "ftp://a.example/"})
    moved = admin.post("/newsroom/slots/alarms", {"list": "harbour", "url": "https://b.example/"})
    renewed = admin.post("/newsroom/slots/alarms/secret", {"list": "harbour"})
    removed = admin.post("/newsroom/slots/alarms/remove", {"list": "harbour"})

    assert [each.status_code for each in (bad, moved, renewed, removed)] == [422, 303, 200, 303]
    assert 'value="ftp://a.example/"' in bad.text
    assert "whsec_" in renewed.text
    with reading(engine) as session:
        assert session.scalars(select(AlarmTarget)).all() == []

"""Four eyes are those of two accounts: a name may be changed, and may be two people's."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.accounts import audit
from newsletter.db import reading
from newsletter.errors import ForbiddenError
from newsletter.models import Edition, EditionState
from newsletter.plan import schedule
from newsletter.plan.drafts import draft_of
from newsletter.plan.editions import content_of, correct_edition, drop_correction
from tests.newsroom import MORNING, a_briefing, edition_of
from tests.plan.staffed import Person, Staffed, a_staffed_desk


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Staffed:
    return a_staffed_desk(engine, tmp_path)


def refused(desk: Staffed, person: Person, edition_id: int, *also_known_as: str) -> bool:
    try:
        desk.approve(person, edition_id, *also_known_as)
    except ForbiddenError:
        return True
    assert edition_of(desk.engine, edition_id).state is EditionState.APPROVED
    return False


def test_two_people_with_one_name_are_two_people(desk: Staffed) -> None:
    one = desk.hire("Kim Lee", address="kim")
    other = desk.hire("Kim Lee", address="kim.lee")
    edition_id = desk.write(one)
    desk.submit(one, edition_id)

    assert refused(desk, one, edition_id)
    assert not refused(desk, other, edition_id)


def test_whoever_is_called_otherwise_by_now_is_the_same(desk: Staffed) -> None:
    wim = desk.hire("Wim Writer")
    edition_id = desk.write(wim)
    desk.change(wim, name="Wim Wong")

    assert refused(desk, Person("Wim Wong", wim.account_id), edition_id)


def test_whoever_submitted_it_is_not_the_second_person(desk: Staffed) -> None:
    wim, edda, bo = desk.hire("Wim"), desk.hire("Edda"), desk.hire("Bo")
    edition_id = desk.write(wim)
    desk.submit(edda, edition_id)

    assert refused(desk, Person("Edda E.", edda.account_id), edition_id)
    assert not refused(desk, bo, edition_id)


def test_a_key_of_whoever_wrote_it_is_no_second_person(desk: Staffed) -> None:
    wim = desk.hire("Wim")
    edition_id = desk.write(Person("API key desk", wim.account_id))

    assert refused(desk, wim, edition_id)


@pytest.mark.parametrize(
    ("person", "also", "is_refused"),
    [
        (Person("ed"), (), True),
        (Person("ED"), (), True),
        (Person("API key shop"), ("ed",), True),
        (Person("API key shop"), ("root",), False),
    ],
)
def test_commands_and_keys_that_are_nobodys_are_known_by_name(
    desk: Staffed, person: Person, also: tuple[str, ...], is_refused: bool
) -> None:
    edition_id = desk.write(Person("ed"))

    assert refused(desk, person, edition_id, *also) is is_refused


def test_a_command_under_a_name_that_somebody_once_had_is_theirs(desk: Staffed) -> None:
    edda = desk.hire("Edda Editor")
    with desk.acting(edda) as session:
        audit.record(
            session,
            actor="edda",
            account_id=edda.account_id,
            action="profile changed",
            now=MORNING,
        )
    edition_id = desk.write(Person("Edda"))

    assert refused(desk, edda, edition_id)


def test_a_dropped_correction_leaves_what_is_sent_to_its_writer(desk: Staffed) -> None:
    wim, edda = desk.hire("Wim"), desk.hire("Edda")
    edition_id = desk.write(wim)
    desk.approve(edda, edition_id)
    with desk.acting(edda) as session:
        schedule.send_now(session, edition_id, now=MORNING)
        correct_edition(
            session,
            edition_id,
            content_of(a_briefing(3), "text"),
            settings=desk.settings,
            corrected_by=edda.name,
            now=MORNING,
        )

    with desk.acting(edda) as session:
        drop_correction(session, edition_id)

    with reading(desk.engine) as session:
        draft = draft_of(session, session.get_one(Edition, edition_id).id)
    assert (draft.changed_by, draft.changed_by_account) == ("Wim", wim.account_id)

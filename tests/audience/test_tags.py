import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.audience.history import changes_of
from newsletter.audience.tags import set_tags, tags_of
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Tag
from tests.audience.people import EDITOR, NOW, ada


def test_tags_are_set_as_a_whole_in_lower_case_and_each_once(session: Session) -> None:
    person = ada(session)

    set_tags(session, person.id, ["VIP", " vip ", "Press  Corps"], origin=EDITOR, now=NOW)
    set_tags(session, person.id, ["vip", "member"], origin=EDITOR, now=NOW)

    assert tags_of(session, person.id) == ["member", "vip"]
    assert sorted(session.scalars(select(Tag.name))) == ["member", "press corps", "vip"]


def test_a_change_of_tags_is_in_the_history_and_none_is_not(session: Session) -> None:
    person = ada(session)

    for tags in (["vip", "press"], ["press", "vip"], []):
        set_tags(session, person.id, tags, origin=EDITOR, now=NOW)

    changes = [each for each in changes_of(session, person.id) if each.field == "tags"]
    assert [(each.before, each.after) for each in changes] == [
        (None, "press, vip"),
        ("press, vip", None),
    ]


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize("tag", ["", " ", "a,b", "a\nb", "t" * 81])
def test_a_tag_that_cannot_stand_is_refused(session: Session, tag: str) -> None:
    person = ada(session)

    with pytest.raises(InputError, match=r"^tags: "):
        set_tags(session, person.id, [tag], origin=EDITOR, now=NOW)


def test_a_person_has_at_most_a_hundred_tags_and_has_to_be_there(session: Session) -> None:
    person = ada(session)

    with pytest.raises(InputError, match="at most 100"):
        set_tags(session, person.id, map(str, range(101)), origin=EDITOR, now=NOW)
    with pytest.raises(NotFoundError):
        set_tags(session, person.id + 1, ["vip"], origin=EDITOR, now=NOW)

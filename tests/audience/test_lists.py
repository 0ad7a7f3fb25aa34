from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest
from sqlalchemy.orm import Session

from newsletter.audience.lists import (
    NewList,
    all_lists,
    create_list,
    edit_list,
    list_by_slug,
    refuse_retired,
    retire_list,
)
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import OnUncertain, OptIn, Tracking
from tests.audience.people import NOW

on_one_store = pytest.mark.parametrize("store", ["sqlite"])
DAILY = NewList(
    slug="daily",
    name="The Daily",
    sender_name="The Desk",
    sender_address="Desk@Courier.example",
    postal_address="4 Ropewalk Lane, Port Ellery",
)


def changed(field: str, text: str) -> NewList:
    fields: dict[str, Any] = {field: text}
    return replace(DAILY, **fields)


def test_a_list_is_made_with_every_field_in_its_normal_form(session: Session) -> None:
    new = replace(
        DAILY,
        name="  The   Daily ",
        accent="#0B57D0",
        zone="europe/berlin",
        language="pt_BR",
        reply_to="editors@bücher.example",
        send_time="7:00",
    )

    made = create_list(session, new, now=NOW)

    assert made.id > 0
    assert made.name == "The Daily"
    assert made.accent == "#0b57d0"
    assert made.zone == "Europe/Berlin"
    assert made.language == "pt-BR"
    assert made.sender_address == "Desk@courier.example"
    assert made.reply_to == "editors@xn--bcher-kva.example"
    assert made.send_time == time(7)
    assert made.opt_in is OptIn.DOUBLE
    assert made.tracking is Tracking.FULL
    assert made.created_at == NOW


@on_one_store
@pytest.mark.parametrize(
    ("field", "text", "place"),
    [
        ("slug", "", "slug"),
        ("slug", "Daily", "slug"),
        ("slug", "dai ly", "slug"),
        ("slug", "-daily", "slug"),
        ("slug", "daily-", "slug"),
        ("slug", "täglich", "slug"),
        ("slug", "daily\n", "slug"),
        ("slug", "d" * 64, "slug"),
        ("name", " ", "name"),
        ("name", "n" * 121, "name"),
        ("tagline", "t" * 201, "tagline"),
        ("sender_name", "", "sender name"),
        ("sender_address", "desk", "sender address"),
        ("sender_address", "The Desk <desk@courier.example>", "sender address"),
        ("sender_address", "büro@courier.example", "sender address"),
        ("reply_to", "desk@localhost", "reply-to"),
        ("postal_address", " ", "postal address"),
        ("postal_address", "p" * 501, "postal address"),
        ("zone", "Mars/Olympus_Mons", "zone"),
        ("zone", "", "zone"),
        ("zone", "../../etc/passwd", "zone"),
        ("language", "english please", "language"),
        ("language", "", "language"),
        ("accent", "blue", "accent"),
        ("accent", "#fff", "accent"),
        ("accent", "#0b57d0;background:red", "accent"),
        ("description", "d" * 1001, "description"),
        ("send_time", "25:00", "send time"),
        ("send_time", "at seven", "send time"),
    ],
)
def test_a_field_that_cannot_stand_is_refused_by_its_name(
    session: Session, field: str, text: str, place: str
) -> None:
    with pytest.raises(InputError, match=f"^{place}: .{{10,}}"):
        create_list(session, changed(field, text), now=NOW)

    assert all_lists(session) == []


@on_one_store
@pytest.mark.parametrize(
    "field",
    [
        *("slug", "name", "tagline", "description"),
        *("sender_name", "sender_address", "postal_address"),
    ],
)
def test_s12_no_field_can_smuggle_a_header_into_a_letter(session: Session, field: str) -> None:
    for control in ["\r\n", "\n", "\r", "\x00", "\x85", "\u2028", "\u2029", "\x1b"]:
        text = f"{getattr(DAILY, field)}{control}Bcc: everyone@readers.example"

        with pytest.raises(InputError):
            create_list(session, changed(field, text), now=NOW)


def test_a_slug_is_given_once(session: Session) -> None:
    create_list(session, DAILY, now=NOW)

    with pytest.raises(InputError, match="slug: there is a list called daily already"):
        create_list(session, DAILY, now=NOW)


def test_a_list_is_found_by_its_slug(session: Session) -> None:
    made = create_list(session, DAILY, now=NOW)

    assert list_by_slug(session, "daily") is made


def test_whoever_asks_for_an_unknown_list_is_told_the_known_ones(session: Session) -> None:
    create_list(session, replace(DAILY, slug="weekly"), now=NOW)
    create_list(session, DAILY, now=NOW)

    with pytest.raises(NotFoundError, match="no list called 'dialy'; there are: daily, weekly"):
        list_by_slug(session, "dialy")


def test_without_any_list_the_error_says_how_to_make_one(session: Session) -> None:
    with pytest.raises(NotFoundError, match="newsletter list create"):
        list_by_slug(session, "daily")


def test_s05_a_list_is_private_unless_it_is_said_otherwise(session: Session) -> None:
    private = create_list(session, DAILY, now=NOW)
    public = create_list(session, replace(DAILY, slug="open", is_public=True), now=NOW)

    assert (private.is_public, public.is_public) == (False, True)


def test_an_edit_changes_what_it_names_and_nothing_else(session: Session) -> None:
    create_list(session, replace(DAILY, reply_to="desk@courier.example"), now=NOW)

    edited = edit_list(
        session,
        "daily",
        {
            "name": " The  Morning ",
            "description": "All that matters.",
            "reply_to": "",
            "send_time": "06:30",
            "opt_in": OptIn.SINGLE,
            "is_public": True,
            "tracking": Tracking.ANONYMOUS,
            "on_uncertain": OnUncertain.RESEND,
        },
    )

    session.expire_all()
    assert (edited.name, edited.description) == ("The Morning", "All that matters.")
    assert (edited.reply_to, edited.send_time) == (None, time(6, 30))
    assert (edited.opt_in, edited.is_public) == (OptIn.SINGLE, True)
    assert (edited.tracking, edited.on_uncertain) == (Tracking.ANONYMOUS, OnUncertain.RESEND)
    assert (edited.slug, edited.sender_name) == ("daily", "The Desk")


def test_an_edit_with_one_mistake_changes_nothing(session: Session) -> None:
    made = create_list(session, DAILY, now=NOW)

    with pytest.raises(InputError, match=r"^zone: "):
        edit_list(session, "daily", {"name": "Another", "zone": "Mars"})

    assert made.name == "The Daily"


def test_a_retired_list_stays_and_takes_nothing_new(session: Session) -> None:
    made = create_list(session, DAILY, now=NOW)
    refuse_retired(made)

    retire_list(session, "daily", now=NOW)
    retire_list(session, "daily", now=NOW + timedelta(days=1))

    assert made.retired_at == NOW
    assert all_lists(session) == [made]
    with pytest.raises(StateError, match="daily was retired on 2026-11-23"):
        refuse_retired(made)

"""`newsletter list` as a person at a terminal meets it."""

import pytest
from sqlalchemy import select

from newsletter.db import reading
from newsletter.errors import InputError, NotFoundError
from newsletter.models import MailingList
from tests.cli.terminal import CREATE, newsletter_list

ONE_STORE = pytest.mark.parametrize("store", ["sqlite"])
pytestmark = [
    ONE_STORE,
    pytest.mark.usefixtures("own_database"),
]


def test_a_new_list_is_shown_and_found_again() -> None:
    made = newsletter_list(*CREATE, "--zone=europe/london", "--accent=#0F5C6E")
    shown = newsletter_list("show", "daily")
    named = newsletter_list("show")

    assert (made.exit_code, shown.exit_code, named.exit_code) == (0, 0, 0)
    assert made.output == shown.output
    assert "from            The Desk <desk@courier.example>" in shown.output
    assert "Europe/London" in shown.output
    assert "#0f5c6e" in shown.output
    assert named.output == "daily  The Daily\n"


def test_without_lists_the_command_to_make_one_is_named() -> None:
    assert "newsletter list create" in newsletter_list("show").output


def test_a_wrong_field_makes_no_list() -> None:
    refused = newsletter_list(*CREATE, "--zone=Mars")

    with reading() as session:
        assert session.scalars(select(MailingList)).all() == []
    assert isinstance(refused.exception, InputError)
    assert str(refused.exception).startswith("zone: ")


def test_an_unknown_list_is_an_error_that_names_the_known_ones() -> None:
    newsletter_list(*CREATE)

    refused = newsletter_list("show", "dialy")

    assert isinstance(refused.exception, NotFoundError)
    assert "daily" in str(refused.exception)

"""Numbers that no key can be are an answer like any other, on PostgreSQL too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.db import GREATEST_KEY, GREATEST_LONG_KEY
from newsletter.models import Role
from newsletter.web.numbers import whole_number
from tests.site import Site

BEYOND = ("2147483648", "9223372036854775808", "9" * 5_000)


@pytest.mark.parametrize("store", ["postgresql"])  # SQLite's integers are all of one size
@pytest.mark.parametrize("number", BEYOND)
def test_what_no_number_can_have_is_not_found(site: Site, number: str) -> None:
    admin = site.member(Role.ADMIN)
    pages = ("/newsroom/editions/{}", "/office/accounts/{}", "/office/imports/{}")

    answers = [admin.get(page.format(number)).status_code for page in pages]

    assert answers == [404, 404, 404]


@pytest.mark.parametrize("store", ["postgresql"])
@pytest.mark.parametrize("number", BEYOND)
def test_a_page_that_begins_behind_no_number_is_the_first(site: Site, number: str) -> None:
    admin = site.member(Role.ADMIN)
    pages = ("/newsroom/editions", "/office/imports", "/office/audit")

    answers = [admin.get(f"{page}?before={number}").status_code for page in pages]

    assert answers == [200, 200, 200]


@given(st.integers(min_value=0, max_value=GREATEST_LONG_KEY))
def test_every_key_is_read_as_it_is_written(number: int) -> None:
    assert whole_number(str(number), greatest=GREATEST_LONG_KEY) == number
    assert whole_number(str(number)) == (number if number <= GREATEST_KEY else None)


@given(st.text())
def test_no_text_is_too_odd_to_be_asked(text: str) -> None:
    number = whole_number(text)

    assert number is None or 0 <= number <= GREATEST_KEY


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1_0", "٣", "²", "1.0"])
def test_what_is_no_whole_number_is_none(text: str) -> None:
    assert whole_number(text) is None

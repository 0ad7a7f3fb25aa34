"""Who test mails may go to."""

import pytest
from sqlalchemy import Engine

from newsletter.addresses import parse_address
from newsletter.db import transaction
from newsletter.deliver.test_recipients import (
    allow_tests,
    allowed_patterns,
    disallow_tests,
    not_allowed,
)
from newsletter.errors import InputError, NotFoundError
from tests.newsroom import MORNING


@pytest.mark.parametrize(
    ("pattern", "address", "is_allowed"),
    [
        ("ed@desk.example", "ed@desk.example", True),
        ("Ed@DESK.example", "ed@desk.example", True),
        ("ed@desk.example", "ED@desk.example", True),
        ("ed@desk.example", "flo@desk.example", False),
        ("@desk.example", "flo@desk.example", True),
        (" @Desk.Example ", "flo@desk.example", True),
        ("*@desk.example", "flo@desk.example", True),
        ("@desk.example", "flo@sub.desk.example", False),
        ("@desk.example", "flo@notdesk.example", False),
        ("@bücher.example", "flo@xn--bcher-kva.example", True),
    ],
)
@pytest.mark.parametrize("store", ["sqlite"])
def test_a_pattern_is_an_address_or_a_whole_domain(
    engine: Engine, pattern: str, address: str, is_allowed: bool
) -> None:
    with transaction(engine) as session:
        allow_tests(session, pattern, by="Ada", now=MORNING)

        refused = not_allowed(allowed_patterns(session), [parse_address(address)])

    assert refused == ([] if is_allowed else [parse_address(address)])


@pytest.mark.parametrize("pattern", ["", "@", "*", "desk.example", "@localhost", "%"])
@pytest.mark.parametrize("store", ["sqlite"])
def test_anything_else_is_refused_with_a_word_on_what_to_write(
    engine: Engine, pattern: str
) -> None:
    with (
        transaction(engine) as session,
        pytest.raises(InputError, match="neither an address nor @ and a domain"),
    ):
        allow_tests(session, pattern, by="Ada", now=MORNING)


def test_a_pattern_is_listed_once_and_can_be_taken_off(engine: Engine) -> None:
    with transaction(engine) as session:
        for by in ("Ada", "Bo"):
            allow_tests(session, "@desk.example", by=by, now=MORNING)
        listed = [(each.pattern, each.added_by) for each in allowed_patterns(session)]
        disallow_tests(session, "@DESK.example")

        assert listed == [("@desk.example", "Ada")]
        assert allowed_patterns(session) == []
        with pytest.raises(NotFoundError, match="not on the list"):
            disallow_tests(session, "@desk.example")

"""`newsletter list form`, `newsletter subscriber evidence` and `invite`."""

from html.parser import HTMLParser

import pytest
from click.testing import CliRunner, Result

from newsletter.addresses import parse_address
from newsletter.audience.suppression import suppress
from newsletter.cli import subscribers
from newsletter.clock import utc_now
from newsletter.db import get_engine, transaction
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.models import SuppressionReason
from tests.audience.signing_up import ADA, ask, kinds, make_list, press, requests
from tests.cli.terminal import as_json, newsletter_list

pytestmark = [
    pytest.mark.parametrize("store", ["sqlite"]),
    pytest.mark.usefixtures("own_database"),
]


def subscriber(*arguments: str) -> Result:
    return CliRunner().invoke(subscribers.command, arguments)


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_form_for_elsewhere_is_plain_html_that_leads_to_ours() -> None:
    make_list(get_engine(), language="zh-Hans")

    printed = newsletter_list("form", "daily").stdout
    data = as_json(newsletter_list("form", "daily", "--json"))

    elements = Elements(printed).found
    assert [tag for tag, _ in elements] == ["form", "label", "input", "button"]
    assert elements[0][1] == {"action": "http://127.0.0.1:8000/s/daily", "method": "post"}
    assert elements[2][1]["name"] == "address"
    assert "订阅" in printed
    assert data == {"list": "daily", "html": printed.rstrip("\n")}


def test_a_private_list_has_no_form() -> None:
    make_list(get_engine(), is_public=False)

    assert isinstance(newsletter_list("form", "daily").exception, StateError)
    assert isinstance(newsletter_list("form", "never").exception, NotFoundError)


def test_t31_the_evidence_of_a_person_is_shown_and_exported() -> None:
    make_list(get_engine())
    ask(get_engine())
    press(get_engine(), requests(get_engine())[0].reference)

    shown = subscriber("evidence", ADA).stdout
    (exported,) = as_json(subscriber("evidence", ADA, "--json"))

    assert "2026-11-23 06:00:00 UTC  daily: confirmed" in shown
    assert "The Daily" in shown
    assert (exported["list"], exported["kind"]) == ("daily", "confirmed")
    assert exported["evidence"]["ip"] == "203.0.113.7"
    assert exported["evidence"]["wording"] == "The Daily\n[Subscribe]"


def test_who_never_agreed_has_no_evidence() -> None:
    make_list(get_engine())
    subscriber("add", ADA)

    assert "There is no evidence" in subscriber("evidence", ADA).stdout
    assert as_json(subscriber("evidence", ADA, "--json")) == []
    assert isinstance(subscriber("evidence", "bo@readers.example").exception, NotFoundError)


def test_b23_an_admin_may_invite_once_and_must_say_why() -> None:
    make_list(get_engine())
    with transaction() as session:
        reason = SuppressionReason.COMPLAINED
        suppress(session, parse_address(ADA), reason=reason, source="arf", now=utc_now())
    invite = ("invite", ADA, "--list=daily")

    without = subscriber(*invite)
    empty = subscriber(*invite, "--reason=")
    invited = as_json(subscriber(*invite, "--reason=she rang us", "--json"))
    again = subscriber(*invite, "--reason=she rang us")

    assert without.exit_code == 2
    assert isinstance(empty.exception, InputError)
    assert invited == {"invited": "A***@r***.example", "list": "daily"}
    assert "was invited on" in str(again.exception)
    assert kinds(get_engine()) == ["invite"]

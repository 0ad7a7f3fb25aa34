"""The forms for strangers, in-process."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_client
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.audience.lists import retire_list
from newsletter.audience.signup import lists_open_to_all
from newsletter.db import reading, transaction
from newsletter.models import RequestKind, Tracking
from newsletter.settings import Settings
from newsletter.web.public.signup_words import all_words, signup_words
from tests.audience.people import NOW
from tests.audience.signing_up import make_list, requests
from tests.conftest import STORES
from tests.web.public.strangers import filled, opened, send, settings_for
from tests.web.served import tokens

SENT = "Look into your mailbox"


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


@pytest.fixture
def settings(redis_server: str, tmp_path: Path) -> Settings:
    return settings_for(redis_server, tmp_path)


@pytest.fixture
def client(engine: Engine, settings: Settings, redis: "redis_client.Redis") -> Iterator[TestClient]:
    with opened(engine, settings) as client:
        yield client


@pytest.mark.parametrize("store", STORES)
def test_a_form_leaves_one_request_and_nobody_is_looked_up(
    client: TestClient, engine: Engine
) -> None:
    list_id = make_list(engine)

    answer = send(client, "/s/daily", filled(), ip="198.51.100.7", **{"User-Agent": "Firefox"})

    assert answer.status_code == 200
    assert SENT in answer.text
    request = requests(engine)[0]
    assert (request.kind, request.list_ids) == (RequestKind.SIGN_UP, [list_id])
    assert (request.address, request.ip) == ("ada@readers.example", "198.51.100.7")
    assert (request.zone, request.language) == ("Europe/Paris", "en-GB")
    assert request.form_url == "https://news.courier.example/s/daily"
    assert request.user_agent == "Firefox"
    assert request.answer is None


def test_t31_the_wording_is_what_the_page_said(client: TestClient, engine: Engine) -> None:
    make_list(engine, tracking=Tracking.ANONYMOUS)
    page = client.get("/s/daily").text

    send(client, "/s/daily", filled())

    with reading(engine) as session:
        lists = lists_open_to_all(session)
    wording = requests(engine)[0].wording
    assert wording == signup_words("en").wording(lists)
    for line in ("We count how often", "With the button you ask us", "Subscribe"):
        assert line in page
        assert line in wording


def test_the_page_runs_no_script_but_our_own_and_is_kept_nowhere(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine)

    page = client.get("/s/daily")

    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert "set-cookie" not in page.headers
    assert re.findall(r"<script[^>]*>", page.text) == ['<script src="/static/signup.js" defer>']
    assert not re.search(r"\son[a-z]+=|style=", page.text)
    assert client.get("/static/signup.js").status_code == 200


@pytest.mark.parametrize("which", ["private", "retired", "unknown"])
def test_s05_a_list_that_strangers_may_not_join_has_no_form(
    client: TestClient, engine: Engine, which: str
) -> None:
    make_list(engine)
    make_list(engine, "private", is_public=False)
    make_list(engine, "retired")
    with transaction(engine) as session:
        retire_list(session, "retired", now=NOW)

    pages = [client.get(f"/s/{which}"), send(client, f"/s/{which}", filled())]

    assert [page.status_code for page in pages] == [404, 404]
    assert pages[0].text == client.get("/s/never-was").text
    assert f"list-{which}" not in client.get("/s").text
    assert requests(engine) == []


@pytest.mark.parametrize("store", STORES)
def test_s05_what_may_not_be_joined_is_left_out_without_a_word(
    client: TestClient, engine: Engine
) -> None:
    daily, weekly = make_list(engine), make_list(engine, "weekly")
    make_list(engine, "private", is_public=False)
    ticked = ["daily", "weekly", "private", "never-was", "' OR 1"]

    some = send(client, "/s", filled(lists=ticked))
    none = send(client, "/s", filled(lists=["private"]))

    assert [request.list_ids for request in requests(engine)] == [[daily, weekly]]
    assert (some.status_code, some.text) == (200, none.text)


def test_one_form_takes_several_lists_and_wants_at_least_one(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine)
    make_list(engine, "weekly")

    nothing = send(client, "/s", filled())

    assert nothing.status_code == 400
    assert "Choose at least one" in nothing.text
    assert 'value="ada@readers.example"' in nothing.text
    assert requests(engine) == []


@pytest.mark.parametrize(
    "address", ["", "ada", "ada@", "a@b,c@d", "<ada@readers.example>", "x" * 400]
)
def test_what_is_no_address_is_asked_for_again_with_what_was_typed(
    client: TestClient, engine: Engine, address: str
) -> None:
    make_list(engine)
    make_list(engine, "weekly")

    answer = send(client, "/s", filled(address, lists=["weekly"]))

    assert answer.status_code == 400
    assert 'aria-invalid="true"' in answer.text
    assert 'name="list-weekly" value="1" checked' in answer.text
    assert requests(engine) == []


def test_s14_what_a_stranger_typed_writes_no_html(client: TestClient, engine: Engine) -> None:
    make_list(engine)
    hostile = '"><script>alert(1)</script>{{7*7}}'

    page = send(client, "/s/daily", filled(hostile, language=hostile)).text

    assert "<script>alert" not in page
    assert "&#34;&gt;&lt;script&gt;" in page
    assert "{{7*7}}" in page


@pytest.mark.parametrize(
    "token",
    ["", "x" * 31, tokens().confirmation("0" * 24), 0, 25 * 3600, -3600, None],
)
def test_s02_a_form_that_was_not_shown_or_filled_too_fast_is_shown_again(
    client: TestClient, engine: Engine, token: str | int | None
) -> None:
    """A number is the age of a good token; with none at all it comes from somebody else's page."""
    make_list(engine)
    fields = {"address": "ada@readers.example"}
    if token is not None:
        fields = filled(seconds=token) if isinstance(token, int) else filled(form=token)

    page = send(client, "/s/daily", fields)

    assert page.status_code == 200
    assert "press the button once more" in page.text
    assert 'value="ada@readers.example"' in page.text
    assert requests(engine) == []


def test_a_hasty_reader_does_not_have_to_wait_again(client: TestClient, engine: Engine) -> None:
    make_list(engine)
    hasty = filled(seconds=0)

    page = send(client, "/s/daily", hasty).text

    assert f'name="form" value="{hasty["form"]}"' in page


def test_s02_the_field_that_nobody_sees_catches_machines(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine)
    honest = send(client, "/s/daily", filled("bo@readers.example"))

    trapped = send(client, "/s/daily", filled(website="https://evil.example"))

    assert (trapped.status_code, trapped.text) == (200, honest.text)
    assert [request.address for request in requests(engine)] == ["bo@readers.example"]


def test_s02_a_network_may_ask_twenty_times_in_ten_minutes(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine)

    statuses = [
        send(
            client, "/s/daily", filled(f"reader{number}@readers.example"), ip=f"198.51.100.{number}"
        ).status_code
        for number in range(22)
    ]
    elsewhere = send(client, "/s/daily", filled(), ip="198.51.101.1")

    assert statuses == [200] * 20 + [429] * 2
    assert elsewhere.status_code == 200
    assert len(requests(engine)) == 21


def test_a_reader_who_must_wait_is_told_for_how_long(client: TestClient, engine: Engine) -> None:
    make_list(engine)
    for _ in range(20):
        send(client, "/link", filled(), ip="2001:db8:1:2::1")

    page = send(client, "/s/daily", filled(), ip="2001:db8:1:2:ffff::9")

    assert (page.status_code, page.headers["retry-after"]) == (429, "3600")
    assert "try again in an hour" in page.text


def test_s02_a_form_has_half_of_all_that_is_taken_in_an_hour(
    engine: Engine, redis_server: str, tmp_path: Path, redis: "redis_client.Redis"
) -> None:
    make_list(engine)
    make_list(engine, "weekly")
    settings = settings_for(redis_server, tmp_path, signups_per_hour=8)

    with opened(engine, settings) as one, opened(engine, settings) as other:
        daily = [send(each, "/s/daily", filled()).status_code for each in (one, other) * 3]
        weekly = [send(each, "/s/weekly", filled()).status_code for each in (one, other) * 3]

    assert daily == [200] * 4 + [429] * 2
    assert weekly == [200] * 4 + [429] * 2


def test_the_form_works_in_two_languages_and_three_scripts(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine)

    def words(path: str, **headers: str) -> str:
        page = client.get(path, headers=headers).text
        found = re.search(r'<html lang="([^"]+)"', page)
        assert found is not None
        return found[1]

    assert words("/s/daily") == "en"
    assert words("/s/daily", **{"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.5"}) == "zh-Hant"
    assert words("/s/daily", **{"Accept-Language": "zh-CN,zh;q=0.9"}) == "zh-Hans"
    assert words("/s/daily", **{"Accept-Language": "en;q=0, zh;q=0.1"}) == "zh-Hans"
    assert words("/s/daily?lang=zh-Hant", **{"Accept-Language": "en"}) == "zh-Hant"
    assert words("/s/daily?lang=<b>", **{"Accept-Language": "zh"}) == "en"


def test_a_list_in_chinese_greets_in_chinese_whoever_wants_neither(
    client: TestClient, engine: Engine
) -> None:
    make_list(engine, language="zh-Hans")

    page = client.get("/s/daily", headers={"Accept-Language": "fr"}).text

    assert "订阅《The Daily》" in page
    assert 'name="language" value="fr" data-guess' in page


def test_the_answer_is_in_the_language_of_the_form(client: TestClient, engine: Engine) -> None:
    make_list(engine)

    page = send(client, "/s/daily?lang=zh-Hant", filled())

    assert "請查看您的信箱" in page.text


def test_all_languages_have_all_words_and_the_same_places_to_fill() -> None:
    english, *others = all_words()

    for other in others:
        for field in english.__slots__:
            mine, theirs = getattr(english, field), getattr(other, field)
            assert theirs
            assert set(re.findall(r"{\w+}", mine)) == set(re.findall(r"{\w+}", theirs)), field


def test_without_a_public_list_the_page_says_so(client: TestClient) -> None:
    page = client.get("/s")

    assert page.status_code == 200
    assert "nothing that you could subscribe to" in page.text
    assert "<form" not in page.text


@pytest.mark.parametrize("store", STORES)
def test_the_link_form_leaves_a_request_and_says_the_same_to_everybody(
    client: TestClient, engine: Engine
) -> None:
    pages = [send(client, "/link", filled(f"{name}@readers.example")) for name in ("ada", "bo")]

    assert pages[0].text == pages[1].text
    assert "If that address gets mail from us" in pages[0].text
    assert [request.kind for request in requests(engine)] == [RequestKind.LINK] * 2

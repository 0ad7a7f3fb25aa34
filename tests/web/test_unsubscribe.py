"""The page behind the unsubscribe link, in-process."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.db import make_engine, transaction
from newsletter.models import MailingList, Subscriber, Subscription, SubscriptionStatus
from newsletter.render.words import words_for
from newsletter.stack.ports import free_port
from newsletter.tokens import Purpose
from newsletter.web.app import create_app
from newsletter.web.public.words import page_words
from tests.conftest import STORES
from tests.track.people import Morning, edition_figures, mailed_morning, status_of
from tests.web.served import settings_for, tokens

_LEAVING = re.compile(r'name="leaving" value="[^"]+"')
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def store() -> str:
    """Most of what a page does is the same on both; tests that ask for both say so."""
    return "sqlite"


def ada_link(morning: Morning) -> str:
    return f"/u/{tokens().unsubscribe(morning.subscription(morning.ada))}"


@pytest.mark.parametrize("store", STORES)
def test_the_page_names_the_list_and_hides_the_address(
    client: TestClient, morning: Morning
) -> None:
    page = client.get(ada_link(morning))

    assert page.status_code == 200
    assert "The Morning Briefing" in page.text
    assert "a***@r***.example" in page.text
    assert "ada" not in page.text.lower()
    assert page.text.count("<button") == 1


@pytest.mark.parametrize("store", STORES)
def test_the_pages_button_unsubscribes_without_a_redirect_and_without_a_cookie(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """H-44, H-49."""
    done = client.post(ada_link(morning), data={"leave": "1"})

    assert done.status_code == 200
    assert "You are unsubscribed" in done.text
    assert "set-cookie" not in done.headers
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.UNSUBSCRIBED
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)


def test_who_left_before_sees_the_same_pages(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    link = ada_link(morning)
    before, done = client.get(link), client.post(link, data={"leave": "1"})

    assert client.get(link).text == before.text
    again = client.post(link, data={"leave": "1"})
    # What would take a leaving back is another one each time, and of the second nothing comes.
    assert _LEAVING.sub("", again.text) == _LEAVING.sub("", done.text)
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"List-Unsubscribe=Two-Clicks", "application/x-www-form-urlencoded"),
        (b"\xff\xfe&&==", "application/x-www-form-urlencoded"),
        (b"a=1&" * 50, "application/x-www-form-urlencoded"),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (b"List-Unsubscribe=One-Click", "multipart/form-data"),
        (b"--b\r\nbroken", "multipart/form-data; boundary=b"),
    ],
)
def test_a_post_that_asks_for_nothing_changes_nothing(
    client: TestClient, engine: Engine, morning: Morning, content: bytes, content_type: str
) -> None:
    answer = client.post(ada_link(morning), content=content, headers={"Content-Type": content_type})

    assert answer.status_code == 400
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.CONFIRMED


def test_the_token_of_one_list_touches_no_other(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    client.post(ada_link(morning), data=ONE_CLICK)

    assert status_of(engine, morning.other_list_id, morning.ada) is SubscriptionStatus.CONFIRMED
    assert status_of(engine, morning.list_id, morning.bo) is SubscriptionStatus.CONFIRMED


@hypothesis_settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(place=st.integers(0, 41), character=st.sampled_from("AQgwxyz0189-_é"))
def test_a_token_with_one_character_changed_is_unknown(
    client: TestClient, engine: Engine, morning: Morning, place: int, character: str
) -> None:
    """H-47, S-03."""
    token = tokens().unsubscribe(morning.subscription(morning.ada))
    forged = token[:place] + character + token[place + 1 :]
    if forged == token:
        return

    answers = [client.get(f"/u/{forged}"), client.post(f"/u/{forged}", data=ONE_CLICK)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.CONFIRMED


def test_a_token_of_another_purpose_opens_nothing(client: TestClient, morning: Morning) -> None:
    """S-03."""
    token = tokens().delivery(Purpose.CLICK, morning.delivery(morning.ada))

    assert client.post(f"/u/{token}", data=ONE_CLICK).status_code == 404


@pytest.mark.parametrize("store", STORES)
def test_a_forged_link_and_the_link_of_an_erased_person_look_the_same(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    """H-47."""
    with transaction(engine) as session:
        session.delete(session.get_one(Subscription, (morning.list_id, morning.ada)))

    erased, forged = client.get(ada_link(morning)), client.get(f"{ada_link(morning)}A")

    assert (erased.status_code, erased.text) == (404, forged.text)
    assert client.post(ada_link(morning), data=ONE_CLICK).status_code == 200


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", "退订《The Morning Briefing》"),
        ("zh-TW", "取消訂閱《The Morning Briefing》"),
        ("en-GB", "Leave The Morning Briefing?"),
        ("fr", "Leave The Morning Briefing?"),
    ],
)
def test_the_page_speaks_the_persons_language(
    client: TestClient, engine: Engine, morning: Morning, language: str, words: str
) -> None:
    with transaction(engine) as session:
        session.get_one(Subscriber, morning.ada).language = language

    assert words in client.get(ada_link(morning)).text


def test_the_page_speaks_the_lists_language_when_the_persons_is_unknown(
    engine: Engine, redis_server: str, tmp_path: Path
) -> None:
    morning = mailed_morning(engine, language="zh-Hans")

    with TestClient(
        create_app(settings=settings_for(redis_server, tmp_path), engine=engine)
    ) as client:
        page = client.get(ada_link(morning)).text

    assert '<html lang="zh-Hans">' in page
    assert "确认退订" in page


@pytest.mark.parametrize("language", ["en", "zh-Hans", "zh-Hant"])
def test_pages_and_letters_know_the_same_languages(language: str) -> None:
    assert page_words(None, language).tag == words_for(language).tag == language


def test_a_list_name_cannot_write_html(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    with transaction(engine) as session:
        session.get_one(MailingList, morning.list_id).name = "<script>{list}</script>"

    page = client.get(ada_link(morning)).text

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("form", [ONE_CLICK, {"leave": "1"}])
def test_an_unsubscription_during_an_outage_is_kept_and_written_when_the_database_is_back(
    engine: Engine, redis_server: str, tmp_path: Path, morning: Morning, form: dict[str, str]
) -> None:
    """H-48."""
    settings = settings_for(redis_server, tmp_path)
    away = make_engine(f"postgresql://postgres@127.0.0.1:{free_port()}/nowhere")

    with TestClient(create_app(settings=settings, engine=away)) as client:
        answer = client.post(ada_link(morning), data=form)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.CONFIRMED

    with TestClient(create_app(settings=settings, engine=engine)) as client:
        wait_until(lambda: not list((tmp_path / "unsubscribes").iterdir()))
        assert client.get(ada_link(morning)).status_code == 200
    assert status_of(engine, morning.list_id, morning.ada) is SubscriptionStatus.UNSUBSCRIBED
    assert edition_figures(engine, morning.edition_id) == (0, 0, 1)


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.02)

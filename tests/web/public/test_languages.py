"""Pages of nobody speak the browser's language, and mistakes the reader's own."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import Subscriber
from newsletter.tokens import PersonRef, Purpose
from newsletter.web.public.preference_words import preference_words
from tests.track.people import Morning
from tests.web.served import tokens

SIMPLIFIED = {"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"}
TRADITIONAL = {"Accept-Language": "fr, zh-TW;q=0.8, en;q=0.5"}
OTHER = {"Accept-Language": "fr"}


@pytest.fixture
def store() -> str:
    return "sqlite"


def my_link(engine: Engine, subscriber_id: int, *, is_old: bool = False) -> str:
    with reading(engine) as session:
        mark = session.get_one(Subscriber, subscriber_id).address_hash[:4]
    ref = PersonRef(subscriber_id, utc_now() - timedelta(hours=25 if is_old else 0), mark)
    return f"/my/{tokens().of_person(Purpose.SETTINGS, ref)}"


@pytest.mark.parametrize(
    ("wanted", "tag", "words"),
    [
        (SIMPLIFIED, "zh-Hans", ("每日晨间简报", "此链接无效", "此页面不能这样使用")),
        (TRADITIONAL, "zh-Hant", ("每日晨間簡報", "此連結無效", "此頁面不能這樣使用")),
        (OTHER, "en", ("Morning briefings", "This link leads nowhere", "cannot be used that way")),
    ],
)
def test_the_front_page_and_mistakes_speak_the_browsers_language(
    client: TestClient, morning: Morning, wanted: dict[str, str], tag: str, words: tuple[str, ...]
) -> None:
    pages = [
        client.get("/", headers=wanted),
        client.get("/u/nonsense", headers=wanted),
        client.post("/", headers=wanted),
    ]

    assert [page.status_code for page in pages] == [200, 404, 405]
    for page, text in zip(pages, words, strict=True):
        assert f'<html lang="{tag}">' in page.text
        assert text in page.text


def test_a_link_that_is_too_old_is_told_in_the_browsers_language(
    client: TestClient, engine: Engine, morning: Morning
) -> None:
    page = client.get(my_link(engine, morning.ada, is_old=True), headers=TRADITIONAL)

    assert page.status_code == 410
    assert preference_words("zh-TW").old in page.text


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"save": "1", "hour": "25:00"}, "wrong_hour"),
        ({"save": "1", "pause": "9999-99-99"}, "wrong_pause"),
        ({"save": "1", "zone": "Mars/Phobos"}, "wrong_zone"),
        ({"save": "1", "language": "!"}, "wrong_language"),
        ({"move": "1", "address": "nobody"}, "wrong_address"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh-Hans", "zh-Hant"])
def test_a_mistake_on_ones_settings_is_told_in_ones_own_language(
    client: TestClient,
    engine: Engine,
    morning: Morning,
    fields: dict[str, str],
    word: str,
    language: str,
) -> None:
    with transaction(engine) as session:
        session.get_one(Subscriber, morning.ada).language = language

    page = client.post(my_link(engine, morning.ada), data=fields)

    assert page.status_code == 400
    assert getattr(preference_words(language), word) in page.text

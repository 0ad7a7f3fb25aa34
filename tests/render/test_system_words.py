"""The mails that speak the reader's language say the same in each."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from newsletter.checks.message import check_message
from newsletter.render.system import SystemLetter, system_message
from newsletter.render.system_words import SYSTEM, system_words
from newsletter.render.words import words_for

CATALOGUES = sorted(SYSTEM.glob("*/words.toml"))
PLACES = re.compile(r"{\w+}")


@pytest.mark.parametrize("catalogue", CATALOGUES, ids=lambda path: path.parent.name)
def test_each_language_has_all_words_with_the_same_places_to_fill(catalogue: Path) -> None:
    tables = tomllib.loads(catalogue.read_text())

    places = [
        {word: sorted(PLACES.findall(text)) for word, text in table.items()}
        for table in tables.values()
    ]

    assert set(tables) == {"en", "zh-Hans", "zh-Hant"}
    assert places[0] == places[1] == places[2]


@pytest.mark.parametrize("language", ["en", "fr", "zh", "zh-TW", "zh-Hant", "", "<b>"])
def test_whatever_the_language_there_are_words(language: str) -> None:
    assert system_words("confirm", language)["tag"] == words_for(language).tag


def test_a_mail_that_speaks_one_language_has_no_catalogue() -> None:
    assert system_words("alarm", "zh") == {}


@pytest.mark.parametrize("name", ["confirm", "invite", "welcome", "already", "link"])
@pytest.mark.parametrize("language", ["en", "zh-Hans", "zh-Hant"])
def test_a_lists_name_is_text_in_every_mail_about_lists(name: str, language: str) -> None:
    """S-14."""
    hostile = "</h1><script>{0.__class__} {{7*7}}</script>"
    url = "https://news.courier.example/x"
    letter = SystemLetter(
        name=name,
        data={
            "lists": [hostile, "The Daily"],
            "confirm_url": url,
            "refuse_url": url,
            "link_url": url,
            "settings_url": url,
            "memberships": [{"name": hostile, "leave_url": url}],
            "editions": [{"title": hostile, "url": url}],
            "postal_address": hostile,
        },
        sender_name="The Desk",
        sender_address="desk@courier.example",
        to_address="ada@readers.example",
        message_id="s-0@mail.courier.example",
        date=datetime(2026, 11, 23, tzinfo=UTC),
        base_url="https://news.courier.example",
        language=language,
    )

    raw = system_message(letter)

    assert check_message(raw) == []
    html = raw.partition(b"text/html")[2].replace(b"=\r\n", b"")
    assert b"<script>" not in html
    assert b"&lt;script&gt;" in html
    assert b"&amp;lt;" not in html
    assert f'lang=3D"{language}"'.encode() in html

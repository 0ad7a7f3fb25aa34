import datetime

import pytest

from newsletter.render.words import words_for


@pytest.mark.parametrize(
    ("language", "house", "tag"),
    [
        ("en", "en", "en"),
        ("en-GB", "en", "en"),
        ("zh", "en", "zh-Hans"),
        ("zh", "zh-Hant", "zh-Hant"),
        ("zh-TW", "en", "zh-Hant"),
        ("zh-cn", "en", "zh-Hans"),
        ("en", "zh-Hans", "en"),
        ("tlh", "en", "en"),
    ],
)
def test_the_words_follow_the_text_and_the_list_settles_its_script(
    language: str, house: str, tag: str
) -> None:
    assert words_for(language, house=house).tag == tag


def test_a_greeting_without_a_name_reads_well() -> None:
    assert words_for("en").greeting_to("") == "Good morning."
    assert words_for("zh").greeting_to("") == "早上好。"


def test_a_name_with_braces_is_a_name() -> None:
    assert words_for("en").greeting_to("{list} {0}") == "Good morning, {list} {0}."


def test_dates_are_written_as_the_language_does() -> None:
    date = datetime.date(2024, 3, 7)

    assert words_for("en").long_date(date) == "Thursday, March 7, 2024"
    assert words_for("zh").long_date(date) == "2024年3月7日 星期四"
    assert words_for("en").joined_on(date) == " on March 7, 2024"
    assert words_for("en").joined_on(None) == ""


def test_an_unknown_role_is_named_as_it_is() -> None:
    assert words_for("en").credit("editor", "Wang") == "Edited by Wang"
    assert words_for("en").credit("photographer", "Li {x}") == "photographer: Li {x}"

"""A sentence reads as English everywhere, and is made anew of a translation's template."""

import copy
import json
import pickle
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.errors import InputError, StateError
from newsletter.words import Words, in_language


class State(StrEnum):
    DRAFT = "draft"


GERMAN = {
    "There is no list {name}.": "Die Liste {name} gibt es nicht.",
    "{count:,} people": "{count} Leute",
    "draft": "Entwurf",
    "It is {state}.": "Es ist {state}.",
    "every list": "jeder Liste",
    "Approve it first.": "Erst freigeben.",
    "asked for by {error}": "gefragt von {error}",
    "no {thing}": "kein {ding}",
    "no {other}": "kein {",
    "no {third}": "kein {third.foot}",
    "no {fourth}": "kein {fourth:d}",
}


def in_german(words: str) -> str:
    return in_language(words, lambda template: GERMAN.get(template, template))


def test_words_are_their_english_sentence() -> None:
    words = Words("{name} has {count:,} readers, since {day!r}.", name="Ada", count=4000, day="Mon")

    assert words == "Ada has 4,000 readers, since 'Mon'."
    assert json.dumps([words]) == "[\"Ada has 4,000 readers, since 'Mon'.\"]"


def test_a_translation_is_filled_with_the_same_values() -> None:
    assert in_german(Words("There is no list {name}.", name="evening")) == (
        "Die Liste evening gibt es nicht."
    )
    assert in_german(Words("{count:,} people", count=12345)) == "12345 Leute"


def test_values_that_are_words_or_states_are_translated_too() -> None:
    assert in_german(Words("It is {state}.", state=Words("draft"))) == "Es ist Entwurf."
    assert in_german(Words("It is {state}.", state=State.DRAFT)) == "Es ist Entwurf."
    assert in_german(Words("It is {state}.", state="draft")) == "Es ist draft."


def test_an_error_within_an_error_brings_its_words_along() -> None:
    inner = InputError("There is no list {name}.", name="evening")

    outer = StateError("asked for by {error}", error=inner)

    assert str(outer) == "asked for by There is no list evening."
    assert in_german(outer.words) == "gefragt von Die Liste evening gibt es nicht."


@given(st.text())
def test_what_a_person_wrote_is_never_taken_for_a_template(text: str) -> None:
    assert Words(text) == text
    assert Words("“{name}” is retired.", name=text) == f"“{text}” is retired."
    assert in_german(Words("There is no list {name}.", name=text)) == (
        f"Die Liste {text} gibt es nicht."
    )
    assert str(InputError("{name} is there", name=InputError(text).words)) == f"{text} is there"


@pytest.mark.parametrize("place", ["thing", "other", "third", "fourth"])
def test_a_translation_with_a_wrong_place_is_not_shown(place: str) -> None:
    words = Words(f"no {{{place}}}", **{place: "bread"})

    assert in_german(words) == "no bread"


def test_sentences_are_joined_and_translated_each() -> None:
    words = Words("There is no list {name}.", name="evening").then("Approve it first.")

    assert words == "There is no list evening. Approve it first."
    assert in_german(words) == "Die Liste evening gibt es nicht. Erst freigeben."


def test_lines_are_translated_each() -> None:
    words = Words.lines([Words("draft"), Words("every list")])

    assert words == "draft\nevery list"
    assert in_german(words) == "Entwurf\njeder Liste"


def test_a_catalogue_is_never_asked_for_the_empty_text() -> None:
    assert in_language("", lambda _: "Project-Id-Version: newsletter") == ""


def test_copies_keep_what_they_were_made_of() -> None:
    words = Words("There is no list {name}.", name="evening")

    for same in (copy.deepcopy(words), pickle.loads(pickle.dumps(words)), Words(words)):
        assert same == words
        assert in_german(same) == "Die Liste evening gibt es nicht."


def test_an_error_begins_with_the_field_that_it_is_about() -> None:
    error = InputError("write at most {most} characters", field="name", most=80)

    assert str(error) == "name: write at most 80 characters"
    assert error.words == "write at most 80 characters"
    assert error.field == "name"


def test_an_error_without_a_field_is_its_words() -> None:
    error = InputError("there is none: {slug!r}", slug="evening")

    assert str(error) == "there is none: 'evening'"
    assert error.field is None

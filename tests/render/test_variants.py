"""H-43 of the product: hidden sections leave a reader's mail, and nothing else of it changes."""

import datetime
import email
import email.policy
import re
from dataclasses import replace

import pytest

from newsletter.compose.briefing import Briefing, KeyPoint, Section, Span, Story
from newsletter.compose.preheader import preheader_of
from newsletter.render.compile import compile_edition
from newsletter.render.compiled import Compiled, edition_page
from newsletter.render.message import Assembler
from newsletter.tokens import Tokens
from tests.render.factory import make_compiled, make_masthead, make_recipient

MORNING = datetime.datetime(2024, 3, 7, 6, tzinfo=datetime.UTC)
TOKENS = Tokens(((1, "a secret of some length for tests"),))
NAMES = ("Harbour", "Sport", "Weather")


def briefing_of(names: tuple[str | None, ...] = NAMES, *, points: int = 3) -> Briefing:
    return Briefing(
        title="What the morning brings",
        intro=((Span("An introduction."),),),
        key_points=tuple(KeyPoint(f"{names[n]} in short.", n + 1) for n in range(points)),
        sections=tuple(
            Section(
                name,
                (
                    Story(
                        f"{name} story",
                        ((Span(f"All of {name}.", href=f"https://x.example/{name}"),),),
                    ),
                ),
            )
            for name in names
        ),
    )


def compiled_of(briefing: Briefing, preheader: str | None = None) -> Compiled:
    return compile_edition(
        briefing,
        make_masthead(),
        edition_id=7,
        public_id="page",
        subject="A subject",
        preheader=preheader if preheader is not None else preheader_of(briefing),
    )


COMPILED = compiled_of(briefing_of())


def parts_of(compiled: Compiled, hidden: int) -> tuple[str, str]:
    """Text and HTML as received."""
    raw = Assembler(compiled, TOKENS).message(make_recipient(hidden=hidden), date=MORNING)
    message = email.message_from_bytes(raw, policy=email.policy.default)
    text, html = (part.get_content() for part in message.iter_parts())
    return text.replace("\r\n", "\n"), html.replace("\r\n", "\n")


def links_in(html: str) -> dict[str, int]:
    """The number behind each story's or word's link."""
    found = re.findall(r'href="[^"]*/c/[^"/]+/(\d+)"[^>]*>([^<]*)<', html)
    return {label: int(number) for number, label in found}


@pytest.mark.parametrize("hidden", range(8))
def test_what_is_hidden_is_nowhere_and_the_rest_is_all_there(hidden: int) -> None:
    text, html = parts_of(COMPILED, hidden)

    for place, name in enumerate(NAMES):
        is_hidden = bool(hidden >> place & 1)
        assert (name not in html) is is_hidden
        assert (name.casefold() not in text.casefold()) is is_hidden
    assert "zq" not in html + text


@pytest.mark.parametrize("hidden", range(7))
def test_key_points_are_numbered_anew_without_a_gap(hidden: int) -> None:
    text, html = parts_of(COMPILED, hidden)

    shown = [name for place, name in enumerate(NAMES) if not hidden >> place & 1]
    lines = re.findall(r"^ (\d)\. (\w+) in short", text, re.MULTILINE)
    assert lines == [(str(number), name) for number, name in enumerate(shown, start=1)]
    numbers = re.findall(r'class="kp-n acc"[^>]*>(\d)<', html)
    assert numbers == [number for number, _ in lines]
    assert len(re.findall(r'class="kp-line', html)) == len(shown) - 1


def test_with_all_their_stories_the_key_points_go_as_a_whole() -> None:
    compiled = compiled_of(briefing_of(points=2))

    text, html = parts_of(compiled, 0b011)

    assert "KEY POINTS" not in text
    assert "Key points" not in html
    assert "Weather story" in html


def test_a_variant_is_what_would_have_been_set_without_its_marks() -> None:
    text, _ = parts_of(COMPILED, 0b010)
    alone, _ = parts_of(compiled_of(briefing_of(("Harbour", "Weather"), points=2)), 0)

    assert re.sub(r"/[cup]/\S+", "", text) == re.sub(r"/[cup]/\S+", "", alone)


@pytest.mark.parametrize("hidden", range(8))
def test_a_link_has_the_same_number_in_every_variant(hidden: int) -> None:
    everything = links_in(parts_of(COMPILED, 0)[1])

    shown = links_in(parts_of(COMPILED, hidden)[1])

    assert shown.items() <= everything.items()
    assert len(everything) == 9


def test_the_preheader_names_nothing_hidden_unless_an_editor_wrote_it() -> None:
    written = compiled_of(briefing_of(), "Harbour, sport and weather")

    assert COMPILED.without(0b001).preheader == "Sport in short · Weather in short"
    assert COMPILED.without(0b111).preheader == ""
    assert written.without(0b001).preheader == "Harbour, sport and weather"


def test_a_section_without_a_name_and_a_point_without_a_story_always_stay() -> None:
    briefing = replace(briefing_of(), key_points=(KeyPoint("Of everything."),))

    text, _ = parts_of(compiled_of(briefing), 0b111)

    assert " 1. Of everything." in text


def test_the_web_page_shows_everything_to_everybody() -> None:
    page = edition_page(COMPILED)

    assert all(name in page for name in NAMES)
    assert "zq" not in page


def test_variants_survive_being_stored() -> None:
    stored = Compiled.from_bytes(COMPILED.to_bytes())

    assert parts_of(stored, 0b101) == parts_of(COMPILED, 0b101)


def test_a_variant_is_made_once() -> None:
    assembler = Assembler(make_compiled(), TOKENS)
    first = assembler._variant(1)

    assert assembler._variant(1) is first

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.audience.colours import READABLE, contrast, is_colour
from newsletter.render.palette import Palette, day, night

accents = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")


@pytest.mark.parametrize("palette", [day, night])
@settings(deadline=None)
@given(accent=accents)
def test_every_text_can_be_read_on_every_ground_whatever_the_accent(
    palette: Callable[[str], Palette], accent: str
) -> None:
    colours = palette(accent)

    pairs = [
        (text, ground)
        for text in (colours.ink, colours.body, colours.muted, colours.accent)
        for ground in (colours.page, colours.card, colours.box)
    ]

    assert min(contrast(*pair) for pair in pairs) >= READABLE
    assert contrast(colours.on_accent, colours.accent) >= READABLE


def test_an_accent_that_can_be_read_is_kept_by_day() -> None:
    assert day("#1d4e89").accent == "#1d4e89"


def test_contrast_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("text", ["#12345", "red", "#12345g", "rgb(1,2,3)", "#1234567", "#fff;}"])
def test_only_six_digits_are_a_colour(text: str) -> None:
    assert not is_colour(text)

"""Where lines and bars go: round scales, nothing outside of the plot, and nothing but numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.web.newsroom.charts import (
    HEIGHT,
    MOST_LABELS,
    WIDTH,
    Chart,
    Scale,
    Series,
    bar_chart,
    line_chart,
    sparkline,
)

VALUES = st.lists(st.integers(0, 20_000_000), max_size=60)


def labels(values: list[int]) -> list[str]:
    return [str(place) for place in range(len(values))]


def points(text: str) -> list[tuple[float, float]]:
    pairs = (pair.split(",") for pair in text.split())
    return [(float(x), float(y)) for x, y in pairs]


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([], (1, 0)),
        ([0, 0], (1, 0)),
        ([3], (3, 2, 1, 0)),
        ([0, 7], (8, 6, 4, 2, 0)),
        ([12, 95], (100, 50, 0)),
        ([940_000], (1_000_000, 500_000, 0)),
        ([-20, 60], (60, 40, 20, 0, -20)),
    ],
)
def test_the_lines_across_are_round_numbers_from_nought(
    values: list[int], ticks: tuple[int, ...]
) -> None:
    assert Scale.over(values, from_nought=True).ticks == ticks


def test_a_large_number_that_hardly_changes_is_seen_to_change() -> None:
    scale = Scale.over([940_000, 949_000], from_nought=False)

    assert scale.ticks == (950_000, 945_000, 940_000)


@given(VALUES)
def test_every_point_of_a_line_is_inside_of_the_plot(values: list[int]) -> None:
    chart = line_chart(labels(values), [Series("opens", "first", values)])

    for x, y in points(chart.lines[0].points):
        assert 0 <= x <= WIDTH + 0.01
        assert 0 <= y <= HEIGHT
    assert len(chart.across) == len(chart.ticks) <= 7
    assert len(chart.labels) <= MOST_LABELS


@given(VALUES, st.data())
def test_bars_stand_on_each_other_and_hang_below_nought(up: list[int], data: st.DataObject) -> None:
    down = data.draw(st.lists(st.integers(0, 1_000), min_size=len(up), max_size=len(up)))

    chart = bar_chart(
        labels(up),
        [Series("joined", "first", up), Series("imported", "third", up)],
        [Series("left", "fourth", down)],
    )

    nought = nought_of(chart)
    for bar in chart.bars:
        assert bar.y >= -0.01
        assert bar.y + bar.height <= HEIGHT + 0.02
        if bar.tone == "fourth":
            assert bar.y >= nought - 0.01
        else:
            assert bar.y + bar.height <= nought + 0.02


def nought_of(chart: Chart) -> float:
    return chart.across[chart.ticks.index(0)]


def test_a_bar_says_what_it_stands_for() -> None:
    chart = bar_chart(["3 Nov"], [Series("signed up", "first", [1_200])])

    assert [bar.words for bar in chart.bars] == ["3 Nov: 1,200 signed up"]


def test_what_never_happened_is_not_named() -> None:
    chart = bar_chart(
        ["3 Nov"], [Series("signed up", "first", [4]), Series("imported", "third", [0])]
    )

    assert chart.names == (("signed up", "first"),)


def test_labels_are_spread_from_the_first_to_the_last() -> None:
    many = line_chart(labels(list(range(24))), [Series("opens", "first", list(range(24)))])
    few = line_chart(["a", "b"], [Series("opens", "first", [1, 2])])

    assert many.labels == ("0", "6", "12", "17", "23")
    assert few.labels == ("a", "b")


@given(VALUES)
def test_a_small_line_is_points_alone(values: list[int]) -> None:
    assert re.fullmatch(r"[0-9., ]*", sparkline(values))

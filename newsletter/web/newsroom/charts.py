"""Where the lines and bars of a chart go; `components/charts.html` draws them.

A plot is stretched to the room it has, so it holds no words: those stand around it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

WIDTH = 600
HEIGHT = 180
MOST_STEPS = 4
MOST_LABELS = 5
GAP = 0.25
"""Of a bar's place that stays empty."""

Tone = Literal["first", "second", "third", "fourth"]


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    tone: Tone
    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    tone: Tone
    points: str
    """As an SVG polyline has them."""


@dataclass(frozen=True, slots=True)
class Bar:
    tone: Tone
    x: float
    y: float
    width: float
    height: float
    words: str
    """What it says to whoever points at it."""


@dataclass(frozen=True, slots=True)
class Chart:
    ticks: tuple[int, ...]
    """Values of the lines across, the highest first; they are at even distances."""
    across: tuple[float, ...]
    """How high up each is."""
    labels: tuple[str, ...]
    """Below the plot, at even distances from its one end to the other."""
    names: tuple[tuple[str, Tone], ...]
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class Scale:
    low: int
    high: int
    step: int

    @classmethod
    def over(cls, values: Sequence[int], *, from_nought: bool) -> "Scale":
        """Round numbers around all values; at least one step even where nothing happened."""
        low, high = min(values, default=0), max(values, default=0)
        if from_nought:
            low, high = min(low, 0), max(high, 0)
        step = _round_step((high - low) / MOST_STEPS)
        low = math.floor(low / step) * step
        high = math.ceil(high / step) * step
        return cls(low, high if high > low else low + step, step)

    @property
    def ticks(self) -> tuple[int, ...]:
        return tuple(range(self.high, self.low - 1, -self.step))

    def y(self, value: float) -> float:
        return round(HEIGHT * (self.high - value) / (self.high - self.low), 2)


def line_chart(
    labels: Sequence[str], series: Sequence[Series], *, from_nought: bool = True
) -> Chart:
    scale = Scale.over([value for each in series for value in each.values], from_nought=from_nought)
    return Chart(
        ticks=scale.ticks,
        across=tuple(scale.y(tick) for tick in scale.ticks),
        labels=_spread(labels),
        names=tuple((each.name, each.tone) for each in series),
        lines=tuple(Line(each.name, each.tone, _points(each.values, scale)) for each in series),
    )


def bar_chart(labels: Sequence[str], up: Sequence[Series], down: Sequence[Series] = ()) -> Chart:
    """Bars at each label, those of `up` on top of each other, and those of `down` below nought."""
    up, down = _used(up), _used(down)
    heights = [sum(column) for column in zip(*(each.values for each in up), strict=True)]
    depths = [-sum(column) for column in zip(*(each.values for each in down), strict=True)]
    scale = Scale.over([*heights, *depths], from_nought=True)
    return Chart(
        ticks=scale.ticks,
        across=tuple(scale.y(tick) for tick in scale.ticks),
        labels=_spread(labels),
        names=tuple((each.name, each.tone) for each in (*up, *down)),
        bars=(
            *_bars(labels, up, scale, sign=1),
            *_bars(labels, down, scale, sign=-1),
        ),
    )


def sparkline(values: Sequence[int]) -> str:
    """The points of a small line without a scale."""
    return _points(values, Scale.over(values, from_nought=False))


def _used(series: Sequence[Series]) -> Sequence[Series]:
    """What never happened needs no name beside the chart."""
    return [each for each in series if any(each.values)]


def _round_step(least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50 and so on."""
    magnitude = 10 ** math.floor(math.log10(least)) if least > 1 else 1
    return next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= least)


def _points(values: Sequence[int], scale: Scale) -> str:
    step = WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{round(place * step, 2)},{scale.y(each)}" for place, each in enumerate(values)
    )


def _bars(
    labels: Sequence[str], series: Sequence[Series], scale: Scale, *, sign: int
) -> Iterator[Bar]:
    place = WIDTH / max(len(labels), 1)
    for number, label in enumerate(labels):
        base = 0
        for each in series:
            value = each.values[number]
            top = base + sign * value
            if value:
                upper, lower = max(base, top), min(base, top)
                yield Bar(
                    each.tone,
                    x=round(place * (number + GAP / 2), 2),
                    y=scale.y(upper),
                    width=round(place * (1 - GAP), 2),
                    height=round(scale.y(lower) - scale.y(upper), 2),
                    words=f"{label}: {value:,} {each.name}",
                )
            base = top


def _spread(labels: Sequence[str]) -> tuple[str, ...]:
    """As many as have room, the first and the last among them; others at most half a step off."""
    steps = len(labels) - 1
    parts = min(steps, MOST_LABELS - 1)
    if parts < 1:
        return tuple(labels)
    return tuple(labels[round(part * steps / parts)] for part in range(parts + 1))

"""Colours as mail programs understand them, and how well one can be read on another."""

import re

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
MUTED = "#625f57"
"""The palest text of a letter, by day; it stands on whatever colour a list puts behind the sheet."""

_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE | re.ASCII)


def is_colour(text: str) -> bool:
    """Whether it is `#rrggbb`: Word's engine and Gmail understand nothing richer."""
    return _HEX.fullmatch(text) is not None


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 (none) to 21 (black on white)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return float(channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4)

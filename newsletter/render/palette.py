"""The colours of an edition by day and by night, worked out from one accent colour."""

import colorsys
import re
from dataclasses import dataclass

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3
COMFORTABLE = 6.0  # a saturated colour on near-black needs more

_HEX = re.compile(r"#[0-9a-f]{6}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Palette:
    """Every colour is `#rrggbb`: Word's engine and Gmail understand nothing richer.

    `ink`, `body`, `muted` and `accent` are for text on `page`, `card` and `box`; `on_accent` is for
    text on `accent`; `rule` draws lines.
    """

    page: str
    card: str
    box: str
    ink: str
    body: str
    muted: str
    rule: str
    accent: str
    on_accent: str


def is_colour(text: str) -> bool:
    return _HEX.fullmatch(text) is not None


def day(accent: str) -> Palette:
    grounds = ("#f2f0eb", "#ffffff", "#f8f6f1")
    return Palette(
        *grounds,
        ink="#1b1a18",
        body="#37352f",
        muted="#625f57",
        rule="#dfdbd2",
        accent=_readable(accent, grounds, contrast_wanted=READABLE, lightest=0.0),
        on_accent="#ffffff",
    )


def night(accent: str) -> Palette:
    grounds = ("#111214", "#1a1b1e", "#242529")
    return Palette(
        *grounds,
        ink="#f1efea",
        body="#d3d1cb",
        muted="#a7a49c",
        rule="#3b3c40",
        accent=_readable(accent, grounds, contrast_wanted=COMFORTABLE, lightest=1.0),
        on_accent="#111214",
    )


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2.2, from 1 (none) to 21 (black on white)."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _readable(
    colour: str, grounds: tuple[str, ...], *, contrast_wanted: float, lightest: float
) -> str:
    """The colour itself if it can be read on all `grounds`, else moved just enough to `lightest`.

    Hue and saturation stay: mixing in white would turn a list's colour into a grey.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*(c / 255 for c in _channels(colour)))
    for step in range(101):
        moved = lightness + (lightest - lightness) * step / 100
        candidate = _hex(colorsys.hls_to_rgb(hue, moved, saturation)) if step else colour
        if all(contrast(candidate, ground) >= contrast_wanted for ground in grounds):
            return candidate
    return _hex((lightest, lightest, lightest))


def _hex(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(channel / 255) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return float(channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4)

"""The colours of an edition by day and by night, worked out from one accent colour."""

import colorsys
from dataclasses import dataclass

from newsletter.audience.colours import MUTED, READABLE, channels, contrast
from newsletter.models import BACKDROP

COMFORTABLE = 6.0  # a saturated colour on near-black needs more


@dataclass(frozen=True, slots=True)
class Palette:
    """Every colour is `#rrggbb`.

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


def day(accent: str, backdrop: str = BACKDROP) -> Palette:
    """`backdrop` is light enough for `MUTED`: a list takes no other."""
    grounds = (backdrop, "#ffffff", "#f8f6f1")
    return Palette(
        *grounds,
        ink="#1b1a18",
        body="#37352f",
        muted=MUTED,
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


def _readable(
    colour: str, grounds: tuple[str, ...], *, contrast_wanted: float, lightest: float
) -> str:
    """The colour itself if it can be read on all `grounds`, else moved just enough to `lightest`.

    Hue and saturation stay: mixing in white would turn a list's colour into a grey.
    """
    hue, lightness, saturation = colorsys.rgb_to_hls(*(c / 255 for c in channels(colour)))
    for step in range(101):
        moved = lightness + (lightest - lightness) * step / 100
        candidate = _hex(colorsys.hls_to_rgb(hue, moved, saturation)) if step else colour
        if all(contrast(candidate, ground) >= contrast_wanted for ground in grounds):
            return candidate
    return _hex((lightest, lightest, lightest))


def _hex(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)

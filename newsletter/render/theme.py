"""The dress of a list: its fonts, the colour behind the sheet, its logo and what its foot says.

All of it is settings from allow-lists; nobody edits templates, and no text of a list is evaluated.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from newsletter.models import BACKDROP, Font, MailingList
from newsletter.render.words import Words

CATALOGUE = Path(__file__).with_name("fonts.toml")
WIDEST_LOGO, TALLEST_LOGO = 280, 84
"""In the mail, in CSS pixels: it stands where the name does, above all else."""


@dataclass(frozen=True, slots=True)
class FontStack:
    name: str
    kind: Literal["sans", "serif"]
    families: str

    def in_language(self, words: Words) -> str:
        """As CSS has it, with the fonts of the language's own script behind."""
        return self.families + (words.serif if self.kind == "serif" else words.sans)


@dataclass(frozen=True, slots=True)
class Logo:
    """`file` is what `/media/` serves; its size is in pixels."""

    file: str
    width: int
    height: int

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in a mail: files have twice the pixels, for sharp screens."""
        shrunk = min(0.5, WIDEST_LOGO / self.width, TALLEST_LOGO / self.height)
        return max(1, round(self.width * shrunk)), max(1, round(self.height * shrunk))


@dataclass(frozen=True, slots=True)
class Theme:
    heading_font: Font = Font.GEORGIA
    text_font: Font = Font.SYSTEM
    backdrop: str = BACKDROP
    footer: str = ""
    logo: Logo | None = None

    @property
    def footer_lines(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.footer.splitlines() if line.strip())


PLAIN = Theme()
"""What a list wears that chose nothing."""


def theme_of(mailing_list: MailingList) -> Theme:
    return Theme(
        heading_font=mailing_list.heading_font,
        text_font=mailing_list.text_font,
        backdrop=mailing_list.backdrop,
        footer=mailing_list.footer,
        logo=_logo(mailing_list),
    )


def theme_from(form: Mapping[str, Any]) -> Theme:
    """As `dataclasses.asdict` made it."""
    logo = form["logo"]
    return Theme(
        heading_font=Font(form["heading_font"]),
        text_font=Font(form["text_font"]),
        backdrop=form["backdrop"],
        footer=form["footer"],
        logo=Logo(**logo) if logo else None,
    )


def font_stack(font: Font) -> FontStack:
    return font_stacks()[font]


@cache
def font_stacks() -> Mapping[Font, FontStack]:
    tables = tomllib.loads(CATALOGUE.read_text(encoding="utf-8"))
    return {font: FontStack(**tables[font.value]) for font in Font}


def _logo(mailing_list: MailingList) -> Logo | None:
    file, width, height = mailing_list.logo, mailing_list.logo_width, mailing_list.logo_height
    return Logo(file, width, height) if file and width and height else None

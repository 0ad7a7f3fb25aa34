"""What the exports of other systems look like."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from newsletter.errors import InputError

_FILE = Path(__file__).with_name("presets.toml")


@dataclass(frozen=True, slots=True)
class Preset:
    name: str
    source: str
    """Where the system's columns are documented."""
    marks: Sequence[str]
    columns: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)
    status_is_the_file: bool = False


@cache
def presets() -> Mapping[str, Preset]:
    return {key: Preset(**value) for key, value in tomllib.loads(_FILE.read_text()).items()}


def preset_called(key: str) -> Preset:
    """Raises `InputError`."""
    found = presets().get(key)
    if found is None:
        raise InputError(
            "there is none called {key!r}; there are: {known}",
            field="preset",
            key=key,
            known=", ".join(presets()),
        )
    return found


def recognise(titles: Sequence[str]) -> str | None:
    """The key of the preset whose marks are all among `titles`; None when there is none."""
    there = {title.strip() for title in titles}
    return next((key for key, preset in presets().items() if there.issuperset(preset.marks)), None)

"""Which time zones there are, and how a person may write them."""

from functools import cache
from zoneinfo import available_timezones

# The others are abbreviations, or old names for a country.
_REGIONS = {
    *("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia"),
    *("Europe", "Indian", "Pacific"),
}


def find_zone(text: str) -> str | None:
    """The IANA name that `text` means, whatever its case; None when there is no such zone."""
    return _names_by_folded_name().get(text.casefold())


@cache
def zone_choices() -> tuple[str, ...]:
    """Those that a reader may pick from: places, and UTC."""
    names = available_timezones()
    return tuple(
        sorted(name for name in names if name == "UTC" or name.partition("/")[0] in _REGIONS)
    )


@cache
def _names_by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}

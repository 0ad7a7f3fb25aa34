"""Which time zones there are, and how a person may write them."""

from functools import cache
from zoneinfo import available_timezones


def find_zone(text: str) -> str | None:
    """The IANA name that `text` means, whatever its case; None when there is no such zone."""
    return _names_by_folded_name().get(text.casefold())


@cache
def _names_by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}

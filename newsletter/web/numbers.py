"""Whole numbers as they come from outside: in an address, a form, a cursor."""

from newsletter.db import GREATEST_KEY


def whole_number(text: str, *, greatest: int = GREATEST_KEY) -> int | None:
    """None for what is no whole number from 0 to `greatest`."""
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    number = int(text)
    return number if number <= greatest else None

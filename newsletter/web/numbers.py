"""Whole numbers as they come from outside: in an address, a form, a cursor."""

GREATEST_KEY = 2**31 - 1
"""PostgreSQL refuses the whole question when it is asked for a greater one."""
GREATEST_LONG_KEY = 2**63 - 1
"""Of the tables that grow without end: subscribers, attempts, entries of logs."""


def whole_number(text: str, *, greatest: int = GREATEST_KEY) -> int | None:
    """None for what is no whole number from 0 to `greatest`."""
    if not text.isascii() or not text.isdecimal() or len(text) > 19:
        return None
    number = int(text)
    return number if number <= greatest else None

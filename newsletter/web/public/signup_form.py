"""Reads what a stranger wrote in a form, and tells a person's hand from a program's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.addresses import LONGEST_ADDRESS, Address, parse_address
from newsletter.errors import AddressError, TokenError
from newsletter.tokens import Tokens
from newsletter.web.headers import PAGE_POLICY
from newsletter.web.pages import NO_STORE

HEADERS = NO_STORE | {"Content-Security-Policy": f"{PAGE_POLICY}; script-src 'self'"}
METHODS = ["GET", "POST"]

QUICKEST = timedelta(seconds=2)
"""Nobody reads a form and writes an address in less."""
LONGEST = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Filled:
    typed: str
    address: Address | None
    """None: what was typed is none."""
    token: str
    """For the form if it is shown once more: its time goes on from when it was first shown."""
    is_ripe: bool
    """Shown by us, not too short and not too long ago."""
    is_trapped: bool
    """A field is filled in that people do not see."""


def empty_form(tokens: Tokens, *, now: datetime) -> Filled:
    return Filled("", None, tokens.form(now), is_ripe=False, is_trapped=False)


def read_filled(tokens: Tokens, form: Mapping[str, str], *, now: datetime) -> Filled:
    typed = form.get("address", "")
    age = _age(tokens, form.get("form", ""), now)
    is_ours = age is not None and age <= LONGEST
    return Filled(
        typed=typed[:LONGEST_ADDRESS],
        address=_address(typed),
        token=form["form"] if is_ours else tokens.form(now),
        is_ripe=age is not None and QUICKEST <= age <= LONGEST,
        is_trapped=bool(form.get("website")),
    )


def _age(tokens: Tokens, token: str, now: datetime) -> timedelta | None:
    try:
        return now - tokens.read_form(token)
    except TokenError:
        return None


def _address(text: str) -> Address | None:
    try:
        return parse_address(text)
    except AddressError:
        return None

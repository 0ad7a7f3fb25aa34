"""What one address of the site answers, and who may ask."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.web.newsroom.visit import Visit

Answers = Callable[[Visit], Response]

LARGEST_FORM = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Screen:
    """`get` reads and `post` writes; each is called in a thread of its own, with the visit's database session.

    `role` is the least one that opens it, on any list: what it shows or changes is decided per
    object by the function. None: whoever has an account. `is_open`: whoever comes, without one.
    `is_unfinished`: also those who have shown their password and owe the second factor.
    """

    path: str
    get: Answers | None = None
    post: Answers | None = None
    role: Role | None = None
    is_open: bool = False
    is_unfinished: bool = False
    largest_form: int = LARGEST_FORM
    """In bytes, files included."""
    is_packed: bool = False
    """Compressed, for what is long. Only where nothing stands beside the form's token that another site
    could have had put there: sizes would tell it the token (BREACH).
    """

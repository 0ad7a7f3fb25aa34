"""Pages that only say something: what was done, or why it was not."""

from starlette.responses import Response

from newsletter.web.pages import NO_STORE, page
from newsletter.web.public.signup_words import SignupWords

OUR_NAME = "Newsletter"
RETRY_AFTER_SECONDS = 3600


def notice(
    words: SignupWords,
    title: str,
    lead: str,
    *,
    sender: str = OUR_NAME,
    aside: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
    is_done: bool = False,
) -> Response:
    return page(
        "public/notice.html",
        status=status,
        headers=NO_STORE | {"X-Robots-Tag": "noindex"} | (headers or {}),
        words=words,
        title=title,
        lead=lead,
        sender=sender,
        aside=aside,
        is_done=is_done,
    )


def busy(words: SignupWords, *, sender: str = OUR_NAME) -> Response:
    """A limit was reached, of a network, of a form or of all."""
    again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return notice(words, words.busy, words.busy_lead, sender=sender, status=429, headers=again)

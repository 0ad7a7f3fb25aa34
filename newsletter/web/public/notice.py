"""Pages that only say something, or ask one question: what was done, why it was not, or whether to."""

from starlette.responses import Response

from newsletter.web.pages import NO_STORE, page
from newsletter.web.public.dress import OURS, Sender
from newsletter.web.public.preference_words import PreferenceWords
from newsletter.web.public.signup_words import SignupWords

Words = SignupWords | PreferenceWords

RETRY_AFTER_SECONDS = 3600
HEADERS = NO_STORE | {"X-Robots-Tag": "noindex"}


def notice(
    words: Words,
    title: str,
    lead: str,
    *,
    sender: Sender = OURS,
    aside: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
    is_done: bool = False,
) -> Response:
    return page(
        "public/notice.html",
        status=status,
        headers=HEADERS | (headers or {}),
        words=words,
        title=title,
        lead=lead,
        sender=sender,
        aside=aside,
        is_done=is_done,
    )


def ask(
    words: Words,
    title: str,
    lead: str,
    *,
    field: str,
    button: str,
    sender: Sender = OURS,
    status: int = 200,
) -> Response:
    """A question with one button, whose name is `field`."""
    return page(
        "public/question.html",
        status=status,
        headers=HEADERS,
        words=words,
        title=title,
        lead=lead,
        field=field,
        button=button,
        sender=sender,
    )


def busy(words: Words, *, sender: Sender = OURS) -> Response:
    """A limit was reached, of a network, of a form or of all."""
    again = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return notice(words, words.busy, words.busy_lead, sender=sender, status=429, headers=again)

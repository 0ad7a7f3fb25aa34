"""Plain HTML for pages elsewhere: a field whose button opens our own form with it filled in."""

from newsletter.models import MailingList
from newsletter.web.pages import rendered
from newsletter.web.public.signup_words import signup_words


def form_snippet(mailing_list: MailingList, base_url: str) -> str:
    """It needs no script, and nothing of it is secret or goes out of date."""
    return rendered(
        "public/snippet.html",
        url=f"{base_url}/s/{mailing_list.slug}",
        words=signup_words(mailing_list.language),
    ).strip()

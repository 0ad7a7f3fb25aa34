"""The front page, for whoever follows a link to its beginning."""

from starlette.requests import Request
from starlette.responses import Response

from newsletter.web.pages import page
from newsletter.web.public.dress import OURS
from newsletter.web.public.site_words import site_words


async def index(request: Request) -> Response:
    return page(
        "public/index.html",
        headers={"Vary": "Accept-Language"},
        words=site_words(request),
        sender=OURS,
    )

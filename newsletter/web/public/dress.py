"""The look of a list on the pages that readers open: a small style sheet over the site's own."""

import hashlib
import re
from dataclasses import dataclass

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.db import reading
from newsletter.models import MailingList
from newsletter.render import palette
from newsletter.render.theme import Logo, font_stack, theme_of
from newsletter.render.words import words_for
from newsletter.web.deps import deps_of
from newsletter.web.pages import rendered

# The address changes with what it holds.
HEADERS = {"Cache-Control": "public, max-age=86400"}
_NAME = re.compile(r"([a-z0-9-]{1,63})\.css", re.ASCII)


@dataclass(frozen=True, slots=True)
class Dress:
    style_url: str
    logo: Logo | None


@dataclass(frozen=True, slots=True)
class Sender:
    """The name above a page; `dress` is None where it is no list's, or several lists'."""

    name: str
    dress: Dress | None = None


OURS = Sender("Newsletter")


def sender_of(mailing_list: MailingList) -> Sender:
    return Sender(mailing_list.name, _dress_of(mailing_list))


def _dress_of(mailing_list: MailingList) -> Dress:
    mark = hashlib.sha256(_style(mailing_list).encode()).hexdigest()[:12]
    return Dress(f"/dress/{mailing_list.slug}.css?v={mark}", theme_of(mailing_list).logo)


async def style_sheet(request: Request) -> Response:
    found = _NAME.fullmatch(request.path_params["name"])
    if found is None:
        raise HTTPException(404)
    return await run_in_threadpool(_answer, request, found[1])


def _answer(request: Request, slug: str) -> Response:
    with reading(deps_of(request).engine) as session:
        mailing_list = session.scalar(select(MailingList).where(MailingList.slug == slug))
    if mailing_list is None:
        raise HTTPException(404)
    return Response(_style(mailing_list), media_type="text/css", headers=HEADERS)


def _style(mailing_list: MailingList) -> str:
    theme = theme_of(mailing_list)
    words = words_for(mailing_list.language, house=mailing_list.language)
    return rendered(
        "public/dress.css",
        day=palette.day(mailing_list.accent, theme.backdrop),
        night=palette.night(mailing_list.accent),
        heading_font=font_stack(theme.heading_font).in_language(words),
        text_font=font_stack(theme.text_font).in_language(words),
    )

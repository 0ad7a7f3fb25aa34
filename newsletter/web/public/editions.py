"""An edition on the web: what the mail's "view in browser" leads to, the same for everybody."""

import re

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from newsletter.db import reading
from newsletter.plan.archive import corrections, find_published, first_list_of, form_of
from newsletter.render.compiled import Compiled, edition_page
from newsletter.web.deps import deps_of
from newsletter.web.pages import rendered
from newsletter.web.public.archive_words import ListPlace

# The page is a letter: styles stand in its elements, pictures come from anywhere, nothing runs.
LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src http: https: data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
# Short, so that a correction shows soon.
HEADERS = {
    "Content-Security-Policy": LETTER_POLICY,
    "X-Robots-Tag": "noindex",
    "Cache-Control": "public, max-age=60",
}

_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,22}", re.ASCII)


async def edition(request: Request) -> Response:
    public_id: str = request.path_params["public_id"]
    if not _PUBLIC_ID.fullmatch(public_id):
        raise HTTPException(404)
    return await run_in_threadpool(_edition, deps_of(request).engine, public_id)


def _edition(engine: Engine, public_id: str) -> Response:
    with reading(engine) as session:
        mailing_list = first_list_of(session, public_id)
        found = find_published(session, mailing_list.id, public_id) if mailing_list else None
        if mailing_list is None or found is None:
            raise HTTPException(404)
        form = form_of(session, found.edition_id, mailing_list.id)
        corrected = corrections(session, found.edition_id, found.started_at)
    if form is None:
        raise HTTPException(404)
    above = rendered(
        "public/_edition_above.html", place=ListPlace(mailing_list), corrections=corrected
    )
    html = edition_page(
        Compiled.from_bytes(form),
        head=rendered("public/_bar_style.html") if corrected else "",
        above=f"{above}<main>",
        below="</main>",
    )
    return HTMLResponse(html, headers=HEADERS)

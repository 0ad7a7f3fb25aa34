"""An edition on the web: what the mail's "view in browser" leads to, the same for everybody."""

import re

from sqlalchemy import Engine, Select, and_, select
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from newsletter.db import reading
from newsletter.models import ON_THE_WEB, CompiledEdition, Edition, EditionList
from newsletter.render.compiled import Compiled, edition_page
from newsletter.web.deps import deps_of

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
        form = session.scalar(_form_of(public_id))
    if form is None:
        raise HTTPException(404)
    return HTMLResponse(edition_page(Compiled.from_bytes(form)), headers=HEADERS)


def _form_of(public_id: str) -> Select[bytes]:
    """The approved revision in the dress of the edition's first list."""
    return (
        select(CompiledEdition.form)
        .join(
            Edition,
            and_(
                Edition.id == CompiledEdition.edition_id,
                Edition.approved_revision == CompiledEdition.revision,
            ),
        )
        .join(
            EditionList,
            and_(
                EditionList.edition_id == CompiledEdition.edition_id,
                EditionList.list_id == CompiledEdition.list_id,
            ),
        )
        .where(
            Edition.public_id == public_id,
            Edition.state.in_(ON_THE_WEB),
            Edition.started_at.is_not(None),  # a schedule may be paused before it begins
        )
        .order_by(EditionList.position)
        .limit(1)
    )

"""Pictures of letters and pages: found by the hash of their content, the same for good."""

import re

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from newsletter.compose.media import content_of_media
from newsletter.db import reading
from newsletter.web.deps import deps_of

_NAME = re.compile(r"([0-9a-f]{40})\.(jpg|png)", re.ASCII)
_KINDS = {"jpg": "image/jpeg", "png": "image/png"}
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Nothing of it ever runs, however a browser may read it (S-21).
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": "inline",
    # Mail is read on other people's pages.
    "Cross-Origin-Resource-Policy": "cross-origin",
}


async def picture(request: Request) -> Response:
    named = _NAME.fullmatch(request.path_params["name"])
    if named is None:
        raise HTTPException(404)
    key, extension = named.groups()
    mark = f'"{key}"'
    if mark in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={**_HEADERS, "ETag": mark})
    content = await run_in_threadpool(_content, deps_of(request).engine, key, extension)
    return Response(content, media_type=_KINDS[extension], headers={**_HEADERS, "ETag": mark})


def _content(engine: Engine, key: str, extension: str) -> bytes:
    with reading(engine) as session:
        content = content_of_media(session, key, extension)
    if content is None:
        raise HTTPException(404)
    return content

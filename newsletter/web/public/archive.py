"""The archive of a list: its editions, each on a page of its own, and as feeds for readers of feeds.

What is shown is the same for everybody: nobody's name, no link that knows its reader (S-17).
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from newsletter.compose.briefing import Briefing
from newsletter.db import reading
from newsletter.models import Archive
from newsletter.plan.anchors import stories_of
from newsletter.plan.archive import (
    Place,
    Published,
    archived_list,
    corrections,
    find_published,
    form_of,
    newer_than,
    published,
    published_revision,
)
from newsletter.plan.editions import briefing_of
from newsletter.render.compiled import Compiled, edition_page
from newsletter.render.feeds import Entry, Feed, atom, json_feed
from newsletter.render.words import words_for
from newsletter.settings import Settings
from newsletter.web.deps import Deps, deps_of
from newsletter.web.pages import page, rendered
from newsletter.web.public.archive_words import ListPlace
from newsletter.web.public.dress import sender_of
from newsletter.web.public.editions import LETTER_POLICY

PAGE = 30
IN_A_FEED = 20
MOST_REMEMBERED = 400
# Short, so that a correction shows soon.
KEPT = "public, max-age=60"

_PLACE = re.compile(r"(\d{1,17})-(\d{1,18})", re.ASCII)
_FETCHABLE = re.compile(r"https?://[^\s]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Shelf(ListPlace):
    """A list whose archive somebody asks for."""

    settings: Settings

    @property
    def url(self) -> str:
        return f"{self.settings.base_url}/archive/{self.list.slug}"

    @property
    def is_for_search_engines(self) -> bool:
        return self.list.archive is Archive.PUBLIC

    @property
    def headers(self) -> dict[str, str]:
        return {"Cache-Control": KEPT} | (
            {} if self.is_for_search_engines else {"X-Robots-Tag": "noindex"}
        )

    def url_of(self, edition: Published) -> str:
        return f"{self.url}/{quote(edition.public_id)}"


_Answer = Callable[[Request, Session, _Shelf], Response]


async def archive(request: Request) -> Response:
    return await _answered(request, _archive)


async def archived_edition(request: Request) -> Response:
    return await _answered(request, _edition)


async def archive_atom(request: Request) -> Response:
    return await _answered(request, _atom)


async def archive_json(request: Request) -> Response:
    return await _answered(request, _json)


async def _answered(request: Request, answer: _Answer) -> Response:
    return await run_in_threadpool(_answer, deps_of(request), request, answer)


def _answer(deps: Deps, request: Request, answer: _Answer) -> Response:
    with reading(deps.engine) as session:
        found = archived_list(session, request.path_params["slug"])
        if found is None:
            raise HTTPException(404)
        return answer(request, session, _Shelf(found, deps.settings))


def _archive(request: Request, session: Session, shelf: _Shelf) -> Response:
    before = _read_place(request.query_params.get("before", ""))
    found = published(session, shelf.list.id, before=before, limit=PAGE + 1)
    older = None
    if len(found) > PAGE:
        last = found[PAGE - 1].place
        older = f"{shelf.url}?before={int(last.started_at.timestamp() * 1e6)}-{last.edition_id}"
    return page(
        "public/archive.html",
        headers=shelf.headers,
        words=shelf.words,
        sender=sender_of(shelf.list),
        shelf=shelf,
        editions=found[:PAGE],
        older=older,
    )


def _edition(request: Request, session: Session, shelf: _Shelf) -> Response:
    found = find_published(session, shelf.list.id, request.path_params["public_id"])
    form = None if found is None else form_of(session, found.edition_id, shelf.list.id)
    if found is None or form is None:
        raise HTTPException(404)
    before = next(iter(published(session, shelf.list.id, before=found.place, limit=1)), None)
    about = {
        "shelf": shelf,
        "edition": found,
        "previous": before,
        "following": newer_than(session, shelf.list.id, found.place),
        "corrections": corrections(session, found.edition_id, found.started_at),
        "image": _first_image(briefing_of(published_revision(session, found.edition_id))),
    }
    html = edition_page(
        Compiled.from_bytes(form),
        head=rendered("public/_archive_head.html", **about),
        above=rendered("public/_archive_above.html", **about) + "<main>",
        below="</main>",
    )
    return HTMLResponse(html, headers=shelf.headers | {"Content-Security-Policy": LETTER_POLICY})


def _atom(request: Request, session: Session, shelf: _Shelf) -> Response:
    body = atom(_feed(session, shelf, "feed.atom"))
    return _feed_response(request, body, "application/atom+xml; charset=utf-8", shelf)


def _json(request: Request, session: Session, shelf: _Shelf) -> Response:
    body = json_feed(_feed(session, shelf, "feed.json"))
    return _feed_response(request, body, "application/feed+json; charset=utf-8", shelf)


def _feed(session: Session, shelf: _Shelf, name: str) -> Feed:
    entries = [
        _entry(session, shelf, each) for each in published(session, shelf.list.id, limit=IN_A_FEED)
    ]
    return Feed(
        url=shelf.url,
        own_url=f"{shelf.url}/{name}",
        title=shelf.list.name,
        subtitle=shelf.list.description or shelf.list.tagline,
        language=words_for(shelf.list.language).tag,
        author=shelf.list.sender_name,
        entries=entries,
    )


def _entry(session: Session, shelf: _Shelf, edition: Published) -> Entry:
    url = shelf.url_of(edition)
    return Entry(
        url=url,
        title=edition.title,
        summary=edition.summary,
        content=_content(session, edition, url),
        published_at=edition.started_at,
        updated_at=max(edition.approved_at, edition.started_at),
    )


def _content(session: Session, edition: Published, url: str) -> str:
    """Made once in a process: programs ask for the same editions every few minutes."""
    key = url, edition.public_id, edition.approved_at
    if key not in _contents:
        revision = published_revision(session, edition.edition_id)
        _contents[key] = rendered(
            "public/_archive_entry.html",
            key_points=briefing_of(revision).key_points,
            stories=stories_of(revision),
            url=url,
        )
        while len(_contents) > MOST_REMEMBERED:
            _contents.pop(next(iter(_contents)), None)
    return _contents[key]


_contents: dict[tuple[str, str, datetime], str] = {}


def _feed_response(request: Request, body: bytes, kind: str, shelf: _Shelf) -> Response:
    """Answers 304 to who has it already (RFC 9110 section 13): programs ask every few minutes."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = shelf.headers | {"ETag": etag, "Content-Security-Policy": "default-src 'none'"}
    known = {
        each.strip().removeprefix("W/")
        for each in request.headers.get("if-none-match", "").split(",")
    }
    if etag in known:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=kind, headers=headers)


def _first_image(briefing: Briefing) -> str | None:
    """The address of the first picture that stands on the web, for cards in social networks."""
    images = (image.src for story in briefing.stories for image in story.images)
    return next(filter(_FETCHABLE.fullmatch, images), None)


def _read_place(text: str) -> Place | None:
    shape = _PLACE.fullmatch(text)
    if shape is None:
        return None
    microseconds, edition_id = int(shape[1]), int(shape[2])
    try:
        return Place(datetime.fromtimestamp(microseconds / 1e6, UTC), edition_id)
    except (OverflowError, ValueError, OSError):
        return None

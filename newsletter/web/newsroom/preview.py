"""The preview of an edition: as any reader sees it, on a desk or a phone, by day or at night."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, Response

from newsletter.accounts.roles import Role
from newsletter.audience.search import Wanted, search_subscribers
from newsletter.db import GREATEST_LONG_KEY
from newsletter.errors import NotFoundError, RenderError, StateError
from newsletter.models import Edition, MailingList, Subscriber
from newsletter.plan.previews import Previewed, persona_of, preview_of, samples_of
from newsletter.plan.stored import lists_of
from newsletter.render.preview import Persona, preview_html, preview_text
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.web.numbers import whole_number

VIEWS = ("desktop", "phone", "text", "source")
MOST_FOUND = 8

_REAL = "reader-"
_SANDBOX = "sandbox allow-popups allow-popups-to-escape-sandbox"
# A letter: styles stand in its elements, pictures come from anywhere, nothing runs.
_POLICY = (
    f"{_SANDBOX}; default-src 'none'; style-src 'unsafe-inline'; img-src {{images}}; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
_IMAGES = "http: https: data:"


@dataclass(frozen=True, slots=True)
class Look:
    """What the address of a preview says: how it is looked at, and as whom."""

    edition_id: int
    slug: str
    view: str
    reader: str
    is_dark: bool
    has_images: bool

    @property
    def url(self) -> str:
        return f"/newsroom/editions/{self.edition_id}/preview?{self._query()}"

    @property
    def frame(self) -> str:
        return f"/newsroom/editions/{self.edition_id}/preview/frame?{self._query()}"

    def seen(self, view: str) -> str:
        return replace(self, view=view).url

    def read_by(self, reader: str) -> str:
        return replace(self, reader=reader).url

    def by_night(self, is_dark: bool) -> str:
        return replace(self, is_dark=is_dark).url

    def with_images(self, has_images: bool) -> str:
        return replace(self, has_images=has_images).url

    def dressed_as(self, slug: str) -> str:
        return replace(self, slug=slug).url

    def _query(self) -> str:
        return urlencode(
            {
                "list": self.slug,
                "view": self.view,
                "as": self.reader,
                **({"dark": "1"} if self.is_dark else {}),
                **({} if self.has_images else {"images": "0"}),
            }
        )


def preview(visit: Visit) -> Response:
    edition, mailing_list, look = _asked(visit)
    lists = lists_of(visit.session, edition.id)
    may_read_as = visit.may(Role.EDITOR, [mailing_list.id])
    words = visit.query("q")
    context: dict[str, Any] = {
        "edition": edition,
        "look": look,
        "lists": lists,
        "views": VIEWS,
        "words": words,
        "found": _found(visit, mailing_list, words) if may_read_as and words else (),
        "may_read_as": may_read_as,
        "real": _REAL,
    }
    try:
        previewed = preview_of(visit.session, edition, mailing_list, settings=visit.settings)
    except RenderError as error:
        return visit.page("preview/broken.html", status=409, why=said(error), **context)
    persona = _persona(visit, previewed, mailing_list, look)
    return visit.page(
        "preview/preview.html",
        compiled=previewed.compiled,
        samples=samples_of(previewed),
        persona=persona,
        content=_content(previewed, persona, look),
        **context,
    )


def frame(visit: Visit) -> Response:
    edition, mailing_list, look = _asked(visit)
    try:
        previewed = preview_of(visit.session, edition, mailing_list, settings=visit.settings)
    except RenderError as error:
        raise StateError(error.words) from error
    persona = _persona(visit, previewed, mailing_list, look)
    page = preview_html(previewed.compiled, persona, is_dark=look.is_dark)
    policy = _POLICY.format(images=_IMAGES if look.has_images else "'none'")
    headers = {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
    return HTMLResponse(page, headers=headers)


def _asked(visit: Visit) -> tuple[Edition, MailingList, Look]:
    edition = visit.edition(Role.VIEWER)
    lists = {each.slug: each for each in lists_of(visit.session, edition.id)}
    slug = visit.query("list") or next(iter(lists))
    if slug not in lists:
        raise NotFoundError(NOT_HERE)
    view = visit.query("view")
    look = Look(
        edition_id=edition.id,
        slug=slug,
        view=view if view in VIEWS else VIEWS[0],
        reader=visit.query("as") or "ada",
        is_dark=visit.query("dark") == "1",
        has_images=visit.query("images") != "0",
    )
    return edition, lists[slug], look


def _persona(visit: Visit, previewed: Previewed, mailing_list: MailingList, look: Look) -> Persona:
    if look.reader.startswith(_REAL):
        visit.require(Role.EDITOR, [mailing_list.id])
        reader = _reader(visit, look.reader.removeprefix(_REAL))
        if reader is None:
            raise NotFoundError(NOT_HERE)
        return persona_of(visit.session, reader, mailing_list, previewed)
    samples = samples_of(previewed)
    return next((each.persona for each in samples if each.key == look.reader), samples[0].persona)


def _reader(visit: Visit, text: str) -> Subscriber | None:
    number = whole_number(text, greatest=GREATEST_LONG_KEY)
    return None if number is None else visit.session.get(Subscriber, number)


def _found(visit: Visit, mailing_list: MailingList, words: str) -> tuple[Subscriber, ...]:
    wanted = Wanted(text=words, list_id=mailing_list.id)
    return search_subscribers(visit.session, wanted, limit=MOST_FOUND).people


def _content(previewed: Previewed, persona: Persona, look: Look) -> str:
    """What is shown as text; empty for what the frame shows."""
    if look.view == "text":
        return preview_text(previewed.compiled, persona)
    if look.view == "source":
        return preview_html(previewed.compiled, persona, is_dark=look.is_dark)
    return ""


SCREENS = (
    Screen("/newsroom/editions/{id}/preview", get=preview, role=Role.VIEWER),
    Screen("/newsroom/editions/{id}/preview/frame", get=frame, role=Role.VIEWER),
)

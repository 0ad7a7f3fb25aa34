"""The pictures that were uploaded, to look one up again or add another."""

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.compose.media import (
    LARGEST_BYTES,
    keep_picture,
    media_url,
    recent_media,
    reencode,
)
from newsletter.errors import ForbiddenError, InputError
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_ALLOWED, Visit
from newsletter.words import Words

MOST_SHOWN = 60


def pictures(visit: Visit) -> Response:
    return _page(visit)


def upload(visit: Visit) -> Response:
    if not visit.identity.may_on_some(Role.WRITER):
        raise ForbiddenError(NOT_ALLOWED)
    file = visit.form.files.get("file")
    if file is None:
        return _page(visit, wrong=Words("Choose a picture first."))
    try:
        picture = reencode(file.file.read())
    except InputError as error:
        return _page(visit, wrong=said(error))
    name = file.filename or ""
    media = keep_picture(visit.session, picture, name=name, by=visit.by, now=visit.now)
    notice = Words(
        "{name} is here: {width} × {height} points.",
        name=media.name,
        width=media.width,
        height=media.height,
    )
    if picture.was_moving:
        notice = notice.then("It moved; the first picture of it is kept, as mail programs show it.")
    return visit.go("/newsroom/media", notice)


def _page(visit: Visit, *, wrong: str | None = None) -> Response:
    found = recent_media(visit.session, words=visit.query("q"), most=MOST_SHOWN)
    base_url = visit.settings.base_url
    return visit.page(
        "media/pictures.html",
        status=422 if wrong else 200,
        pictures=[(each, media_url(each, base_url)) for each in found],
        words=visit.query("q"),
        wrong=wrong,
    )


SCREENS = (
    Screen(
        "/newsroom/media",
        get=pictures,
        post=upload,
        role=Role.WRITER,
        largest_form=LARGEST_BYTES + 64 * 1024,
    ),
)

"""The dress of a list while it is chosen: the letter as it would look, and whether it can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from starlette.responses import HTMLResponse, Response

from newsletter.accounts.roles import Role
from newsletter.audience.colours import contrast
from newsletter.audience.fields import find_language, refuse
from newsletter.audience.lists import read_list_fields, set_logo
from newsletter.compose.media import LARGEST_BYTES, keep_picture, reencode
from newsletter.errors import InputError
from newsletter.models import MailingList
from newsletter.render import palette
from newsletter.render.masthead import Masthead
from newsletter.render.specimen import specimen_page
from newsletter.render.theme import Theme, theme_of
from newsletter.web.newsroom.list_form import DRESS, list_of, read, telling_of_approved
from newsletter.web.newsroom.pages import said
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import Visit
from newsletter.words import Words

# The frame holds a letter: its styles stand in it, and nothing in it runs or is fetched elsewhere.
FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src {base_url} 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox"
)


@dataclass(frozen=True, slots=True)
class Contrast:
    """How well the accent can be read where it will stand; `shown` is what it is moved to for that."""

    shown: str
    ratio: float
    is_moved: bool


def letterhead(visit: Visit) -> Response:
    """What the letter looks like as the form stands, and what is wrong with its colours."""
    typed = {name: visit.query(name) for name in DRESS}
    return visit.page("office/_letterhead.html", **letterhead_of(visit, typed, visit.query("slug")))


def specimen(visit: Visit) -> Response:
    """The letter in the frame."""
    worn = _worn(visit, visit.query("slug"))
    theme = _theme_typed({name: visit.query(name) for name in DRESS}, worn)
    masthead = Masthead(
        list_id=0,
        slug="specimen",
        name=visit.query("name") or "The list's name",
        tagline=visit.query("tagline") or None,
        language=find_language(visit.query("language")) or "en",
        accent=visit.query("accent"),
        sender_name="",
        sender_address="desk@example.org",
        postal_address=worn.postal_address if worn else "The postal address",
        mail_domain=visit.settings.mail_domain,
        base_url=visit.settings.base_url,
        theme=theme,
    )
    policy = FRAME_POLICY.format(base_url=visit.settings.base_url)
    return HTMLResponse(specimen_page(masthead), headers={"Content-Security-Policy": policy})


def take_logo(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    upload = visit.form.files.get("logo")
    if upload is None:
        refuse("logo", "choose a picture first")
    picture = reencode(upload.file.read(LARGEST_BYTES + 1))
    name = upload.filename or "logo"
    media = keep_picture(visit.session, picture, name=name, by=visit.by, now=visit.now)
    file = f"{media.key}.{media.extension}"
    set_logo(visit.session, mailing_list.slug, file, width=media.width, height=media.height)
    visit.audit("list logo changed", mailing_list.slug, list_id=mailing_list.id, file=file)
    notice = Words("The logo stands in the masthead now.")
    return _to_form(visit, mailing_list, notice)


def drop_logo(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.ADMIN)
    set_logo(visit.session, mailing_list.slug, None)
    visit.audit("list logo removed", mailing_list.slug, list_id=mailing_list.id)
    notice = Words("The list's name stands in the masthead again.")
    return _to_form(visit, mailing_list, notice)


def _to_form(visit: Visit, mailing_list: MailingList, notice: Words) -> Response:
    notice = telling_of_approved(visit, mailing_list, notice)
    return visit.go(f"/office/lists/{mailing_list.slug}/edit", notice)


def letterhead_of(visit: Visit, values: Mapping[str, str], slug: str) -> dict[str, Any]:
    """What the part beside the form shows; a colour that cannot be used is said instead."""
    try:
        theme = _theme_typed(values, _worn(visit, slug))
        accent = str(read_list_fields({"accent": values["accent"]})["accent"])
    except InputError as error:
        return {"specimen": None, "mistaken": said(error), "by_day": None, "by_night": None}
    asked = {name: values[name] for name in DRESS} | {"slug": slug, "accent": accent}
    return {
        "specimen": asked,
        "mistaken": None,
        "by_day": _contrast(accent, palette.day(accent, theme.backdrop)),
        "by_night": _contrast(accent, palette.night(accent)),
    }


def _contrast(accent: str, colours: palette.Palette) -> Contrast:
    ratio = min(
        contrast(colours.accent, ground) for ground in (colours.page, colours.card, colours.box)
    )
    return Contrast(colours.accent, ratio, colours.accent != accent)


def _theme_typed(values: Mapping[str, str], worn: MailingList | None) -> Theme:
    """As the form has it, with the logo that the list has. Raises `InputError`."""
    names = ("backdrop", "footer", "heading_font", "text_font")
    chosen = read_list_fields(read({name: values[name] for name in names}))
    return Theme(**chosen, logo=theme_of(worn).logo if worn else None)


def _worn(visit: Visit, slug: str) -> MailingList | None:
    """The list whose dress it is; None while there is none, and of one that is not theirs."""
    found = visit.session.scalar(select(MailingList).where(MailingList.slug == slug))
    return found if found is not None and visit.may(Role.VIEWER, [found.id]) else None


SCREENS = (
    Screen("/office/letterhead", get=letterhead, role=Role.ADMIN),
    Screen("/office/letterhead/specimen", get=specimen, role=Role.ADMIN),
    Screen(
        "/office/lists/{slug}/logo",
        post=take_logo,
        role=Role.ADMIN,
        largest_form=LARGEST_BYTES + 64 * 1024,
    ),
    Screen("/office/lists/{slug}/logo/remove", post=drop_logo, role=Role.ADMIN),
)

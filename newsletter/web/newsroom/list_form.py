"""A list as its form has it, and which list an address of the office names."""

from collections.abc import Mapping
from datetime import time
from typing import Any

from newsletter.accounts.roles import Role
from newsletter.audience.fields import refuse
from newsletter.audience.lists import NewList, list_by_slug
from newsletter.errors import NotFoundError
from newsletter.models import Archive, Font, MailingList, OnUncertain, OptIn, Tracking
from newsletter.plan.mastheads import approved_before_change
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

Choice = OptIn | Tracking | OnUncertain | Archive | Font

TEXTS = (
    *("name", "tagline", "description", "language", "postal_address"),
    *("sender_name", "sender_address", "reply_to", "zone", "send_time"),
    *("accent", "backdrop", "footer"),
)
CHOICES: Mapping[str, type[Choice]] = {
    "opt_in": OptIn,
    "tracking": Tracking,
    "on_uncertain": OnUncertain,
    "archive": Archive,
    "heading_font": Font,
    "text_font": Font,
}
NUMBERS = ("cool_off_seconds", "most_a_day")
FIELDS = (*TEXTS, *CHOICES, *NUMBERS, "is_public", "four_eyes")
DRESS = ("name", "tagline", "language", "accent", "backdrop", "heading_font", "text_font", "footer")


def list_of(visit: Visit, role: Role) -> MailingList:
    """Raises `NotFoundError` alike for no list and for one that is not theirs."""
    try:
        mailing_list = list_by_slug(visit.session, visit.path["slug"])
    except NotFoundError as error:
        raise NotFoundError(NOT_HERE) from error
    visit.require(role, [mailing_list.id])
    return mailing_list


def written(shown: MailingList | NewList) -> dict[str, str]:
    """The fields as the form has them."""
    return {name: _text(getattr(shown, name)) for name in FIELDS}


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case time():
            return f"{value:%H:%M}"
        case _:
            return str(value)


def read(typed: Mapping[str, str]) -> dict[str, Any]:
    """As the audience takes them. Raises `InputError` for what no choice of the form is."""
    taken: dict[str, Any] = dict(typed)
    for name, kind in CHOICES.items():
        if name in typed:
            taken[name] = _choice(name, kind, typed[name])
    if "is_public" in typed:
        taken["is_public"] = typed["is_public"] == "yes"
    if "four_eyes" in typed:
        taken["four_eyes"] = {"yes": True, "no": False}.get(typed["four_eyes"])
    for name in NUMBERS:
        if name in typed:
            taken[name] = _number(name, typed[name])
    return taken


def _choice(name: str, kind: type[Choice], text: str) -> Choice:
    try:
        return kind(text)
    except ValueError:
        refuse(name.replace("_", " "), "choose one of: {known}", known=", ".join(kind))


def _number(name: str, text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal():
        refuse(name.replace("_", " "), "write a whole number, or leave it empty")
    return int(text[:9])


def telling_of_approved(visit: Visit, mailing_list: MailingList, notice: Words) -> Words:
    """The notice, and which editions keep the dress that they were approved in."""
    numbers = approved_before_change(visit.session, mailing_list.id)
    named = ", ".join(map(str, numbers))
    match len(numbers):
        case 0:
            return notice
        case 1:
            return notice.then(
                "Edition {number} goes out as approved; to send it in the new dress, change it "
                "and have it approved again.",
                number=named,
            )
        case _:
            return notice.then(
                "Editions {numbers} go out as approved; to send them in the new dress, change "
                "them and have them approved again.",
                numbers=named,
            )

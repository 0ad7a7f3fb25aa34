"""The site's cookies: who is signed in, who merely came, and the notice for the next page."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from newsletter.settings import Settings

NOTICE_SECONDS = 120
LONGEST_NOTICE = 1_500


@dataclass(frozen=True, slots=True)
class Undo:
    """The button beside a notice: `fields` are posted to `url`."""

    label: str
    url: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    text: str
    undo: Undo | None = None


def session_token(request: Request, settings: Settings) -> str:
    return request.cookies.get(_name(settings, "newsletter"), "")


def keep_session(response: Response, settings: Settings, token: str, *, lasts: timedelta) -> None:
    _set(response, settings, "newsletter", token, seconds=int(lasts.total_seconds()))


def drop_session(response: Response, settings: Settings) -> None:
    _set(response, settings, "newsletter", "", seconds=0)


def visitor(request: Request, settings: Settings) -> str:
    """What was given to a browser that is not signed in, for its forms; empty if nothing was."""
    return request.cookies.get(_name(settings, "visitor"), "")


def keep_visitor(response: Response, settings: Settings, value: str) -> None:
    _set(response, settings, "visitor", value, seconds=None)


def keep_notice(response: Response, settings: Settings, notice: Notice) -> None:
    shortened = Notice(notice.text[:LONGEST_NOTICE], notice.undo)
    written = json.dumps(asdict(shortened), ensure_ascii=False).encode()
    value = base64.urlsafe_b64encode(written).decode()
    _set(response, settings, "notice", value, seconds=NOTICE_SECONDS)


def drop_notice(response: Response, settings: Settings) -> None:
    _set(response, settings, "notice", "", seconds=0)


def read_notice(request: Request, settings: Settings) -> Notice | None:
    value = request.cookies.get(_name(settings, "notice"))
    if not value:
        return None
    try:
        held = json.loads(base64.urlsafe_b64decode(value))
        undo = held["undo"] and Undo(**held["undo"])
        return Notice(str(held["text"]), undo)
    except (binascii.Error, ValueError, TypeError, KeyError):
        return None


def _name(settings: Settings, name: str) -> str:
    # The prefix has browsers refuse a cookie that another host of the domain wants to plant.
    return f"__Host-{name}" if _is_https(settings) else name


def _is_https(settings: Settings) -> bool:
    return settings.base_url.startswith("https://")


def _set(
    response: Response, settings: Settings, name: str, value: str, *, seconds: int | None
) -> None:
    response.set_cookie(
        _name(settings, name),
        value,
        max_age=seconds,
        path="/",
        secure=_is_https(settings),
        httponly=True,
        samesite="lax",
    )

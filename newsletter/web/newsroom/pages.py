"""Turns templates of the newsroom and the office into pages: times in the viewer's zone, words ready for translation."""

import gettext
import hashlib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from newsletter.errors import InputError, NewsletterError
from newsletter.settings import TEMPLATES
from newsletter.web.newsroom.vocabulary import named
from newsletter.words import Words, in_language

STATIC = Path(__file__).parents[1] / "static"
LOCALE = Path(__file__).parents[2] / "locale"

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """`context` holds `visit`, whose zone and moment the times are shown by."""
    return _environment().get_template(template).render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES / "web"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(_translations(), newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {"static": static_url}
    environment.filters |= {
        "when": _when,
        "clock": _clock,
        "day": _day,
        "ago": _ago,
        "number": _number,
        "share": _share,
        "word": _word,
    }
    return environment


@cache
def _translations() -> gettext.NullTranslations:
    """Of `newsletter/locale/…/newsletter.mo`; English as it is written where there is none."""
    return gettext.translation("newsletter", LOCALE, fallback=True)


def translated(words: str) -> str:
    return in_language(words, _translations().gettext)


def _shown(value: object) -> object:
    """Words are translated wherever a template shows them."""
    return translated(value) if isinstance(value, Words) else value


def said(error: NewsletterError) -> str:
    """All that it says, for a page that has no place of its own for the field it is about."""
    words = translated(error.words)
    field = error.field if isinstance(error, InputError) else None
    return f"{translated(field)}: {words}" if field else words


@cache
def static_url(name: str) -> str:
    """The address of a static file, with a mark of its content, so that browsers may keep it."""
    content = (STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


@pass_context
def _when(context: Context, moment: datetime) -> Markup:
    """`Mon 22 Nov 2026, 07:00 CET`; the year only where it is not this one."""
    local = moment.astimezone(_zone(context))
    now = _now(context).astimezone(_zone(context))
    day = f"{local:%a} {local.day} {local:%b}"
    if local.year != now.year:
        day += f" {local.year}"
    return _time(moment, f"{day}, {local:%H:%M} {local.tzname()}")


@pass_context
def _clock(context: Context, moment: datetime) -> Markup:
    """`07:00 CET`."""
    local = moment.astimezone(_zone(context))
    return _time(moment, f"{local:%H:%M} {local.tzname()}")


@pass_context
def _day(context: Context, moment: datetime | date) -> Markup:
    """`Mon 22 Nov 2026`."""
    local = moment.astimezone(_zone(context)) if isinstance(moment, datetime) else moment
    text = f"{local:%a} {local.day} {local:%b} {local.year}"
    return Markup('<time datetime="{}">{}</time>').format(f"{local:%Y-%m-%d}", text)


@pass_context
def _ago(context: Context, moment: datetime) -> Markup:
    """`in 12 min`, `3 h ago`; the whole time is the element's title."""
    distance = moment - _now(context)
    text = _span(abs(distance))
    is_ahead = distance > timedelta()
    if text is None:
        words = Words("now") if is_ahead else Words("just now")
    else:
        words = Words("in {span}", span=text) if is_ahead else Words("{span} ago", span=text)
    return _time(
        moment, translated(words), title=f"{moment.astimezone(_zone(context)):%Y-%m-%d %H:%M %Z}"
    )


def _span(length: timedelta) -> Words | None:
    if length < _MINUTE:
        return None
    if length < _HOUR:
        return Words("{count} min", count=length // _MINUTE)
    if length < 2 * _DAY:
        return Words("{count} h", count=length // _HOUR)
    return Words("{count} days", count=length // _DAY)


def _number(value: int) -> str:
    return f"{value:,}"


def _share(part: int, whole: int) -> str:
    """In percent, to a tenth; a dash where there is nothing to have a share of."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _word(value: object) -> str:
    """A state, a role or a reason."""
    return translated(named(value))


def _time(moment: datetime, text: str, *, title: str | None = None) -> Markup:
    stamp = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    if title is None:
        return Markup('<time datetime="{}">{}</time>').format(stamp, text)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, escape(title), text)


def _zone(context: Context) -> tzinfo:
    zone: tzinfo = context["visit"].zone
    return zone


def _now(context: Context) -> datetime:
    now: datetime = context["visit"].now
    return now

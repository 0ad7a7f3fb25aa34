"""The office's providers: how fast each mailbox provider is mailed, and what an admin set instead."""

from sqlalchemy import select
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.deliver.providers import (
    MOST_CONNECTIONS,
    Provider,
    providers,
    routes,
    set_limits,
)
from newsletter.errors import InputError, NotFoundError
from newsletter.models import Route
from newsletter.plan.rates import Rate
from newsletter.web.newsroom.edits import mistakes
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

PAGE = "/office/providers"
FIELDS = ("connections", "rate")


def index(visit: Visit) -> Response:
    visit.require(Role.ADMIN, ())
    rows = [(each, usual, _is_changed(each, usual)) for each, usual in _all(visit)]
    return visit.page("office/providers.html", rows=rows)


def edit(visit: Visit) -> Response:
    provider, usual = _provider(visit)
    row = visit.session.scalar(select(Route).where(Route.name == provider.name))
    values = {
        "connections": str(row.connections or "") if row else "",
        "rate": (row.rate or "") if row else "",
    }
    return visit.page(
        "office/provider.html", provider=provider, usual=usual, values=values, wrong={}
    )


def save(visit: Visit) -> Response:
    provider, usual = _provider(visit)
    typed = {name: visit.form.get(name) for name in FIELDS}
    try:
        connections, rate = _connections(typed["connections"]), _rate(typed["rate"])
        changed = set_limits(visit.session, provider.name, connections=connections, rate=rate)
    except InputError as error:
        return visit.page(
            "office/provider.html",
            status=422,
            provider=provider,
            usual=usual,
            values=typed,
            wrong=mistakes(error, FIELDS),
        )
    visit.audit("provider's limits set", provider.name, **typed)
    limit = changed.limit
    notice = Words(
        "{name}: {connections} connections and {rate} at most.",
        name=provider.name,
        connections=limit.connections,
        rate=limit.rate,
    )
    return visit.go(PAGE, notice)


def _all(visit: Visit) -> list[tuple[Provider, Provider]]:
    """Each as it is, and as the table of providers has it."""
    table = providers()
    known = {each.name: each for each in routes(visit.session).values()}
    return [(known.get(name, usual), usual) for name, usual in table.items()]


def _provider(visit: Visit) -> tuple[Provider, Provider]:
    visit.require(Role.ADMIN, ())
    for found, usual in _all(visit):
        if found.name == visit.path["name"]:
            return found, usual
    raise NotFoundError(NOT_HERE)


def _is_changed(provider: Provider, usual: Provider) -> bool:
    return provider.limit != usual.limit


def _connections(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:6]) <= MOST_CONNECTIONS:
        raise InputError(
            "write a number from 1 to {most}, or nothing",
            field="connections",
            most=MOST_CONNECTIONS,
        )
    return int(text)


def _rate(text: str) -> Rate | None:
    if not text:
        return None
    try:
        return Rate.parse(text)
    except InputError as error:
        raise InputError(
            "write it like 100/s, 600/min or 5000/h, or nothing", field="rate"
        ) from error


SCREENS = (
    Screen(PAGE, get=index, role=Role.ADMIN),
    Screen(PAGE + "/{name}", get=edit, post=save, role=Role.ADMIN),
)

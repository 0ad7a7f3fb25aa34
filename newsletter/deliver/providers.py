"""Providers: who takes a domain's mail, told by its mail hosts or its name, and what they allow.

The table is `providers.toml`; what the operator set for a route comes before it.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.db import insert_or_ignore
from newsletter.errors import InputError, NotFoundError
from newsletter.models import OTHER, Route
from newsletter.plan.rates import Rate

OTHER_NAME = "other"
LONGEST_SITE = 190  # with the name of the provider before it a key is still short
MOST_CONNECTIONS = 1000
_TABLE = Path(__file__).with_name("providers.toml")


@dataclass(frozen=True, slots=True)
class Limit:
    """How much may go to one provider, site or domain, over all processes."""

    connections: int
    rate: Rate
    messages_per_connection: int


@dataclass(frozen=True, slots=True)
class Provider:
    name: str
    mx: tuple[str, ...]
    domains: frozenset[str]
    limit: Limit
    is_per_site: bool
    """Each set of mail hosts has the limit for itself."""
    note: str


@cache
def providers() -> Mapping[str, Provider]:
    """The table, by name; the first is `other`: everybody else, each site for itself."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    default = table["default"]
    other = {"limits": "site"}
    rows = {OTHER_NAME: other} | table["provider"]
    return {name: _provider(name, default | row) for name, row in rows.items()}


def _provider(name: str, row: Mapping[str, Any]) -> Provider:
    return Provider(
        name=name,
        mx=tuple(row.get("mx", ())),
        domains=frozenset(row.get("domains", ())),
        limit=Limit(row["connections"], Rate.parse(row["rate"]), row["messages_per_connection"]),
        is_per_site=row.get("limits") == "site",
        note=row.get("note", ""),
    )


def provider_of_hosts(hosts: Sequence[str]) -> str:
    """The name of the provider that one of these mail hosts belongs to."""
    for provider in providers().values():
        if any(_is_below(host, suffix) for host in hosts for suffix in provider.mx):
            return provider.name
    return OTHER_NAME


def provider_of_name(domain: str) -> str:
    """The name of the provider that is known to have this domain."""
    for provider in providers().values():
        if domain in provider.domains:
            return provider.name
    return OTHER_NAME


def site_of(hosts: Sequence[str]) -> str:
    """One name for a set of mail hosts, whatever order DNS gives them in."""
    site = ",".join(sorted(set(hosts)))
    if len(site) <= LONGEST_SITE:
        return site
    return blake2b(site.encode(), digest_size=16).hexdigest()


def _is_below(host: str, suffix: str) -> bool:
    return host.endswith(suffix) if suffix.startswith(".") else f".{host}".endswith(f".{suffix}")


def route_numbers(session: Session) -> dict[str, int]:
    """The number of each provider's route; a provider that is new in the table is given one."""
    known = _stored_numbers(session)
    missing = [name for name in providers() if name not in known]
    if not missing:
        return known
    first = max(known.values(), default=OTHER) + 1
    for number, name in enumerate(missing, first):
        session.execute(insert_or_ignore(session, Route).values(id=number, name=name))
    # Somebody else may have numbered them at the same moment; what is stored counts.
    return _stored_numbers(session)


def _stored_numbers(session: Session) -> dict[str, int]:
    return dict(session.execute(select(Route.name, Route.id)).all())


def routes(session: Session) -> dict[int, Provider]:
    """Each route's provider, with the operator's limits in place of the table's.

    A route whose provider has left the table has what everybody else has.
    """
    return {route.id: _with_changes(route) for route in session.scalars(select(Route))}


def _with_changes(route: Route) -> Provider:
    provider = providers().get(route.name) or replace(providers()[OTHER_NAME], name=route.name)
    limit = provider.limit
    return replace(
        provider,
        limit=replace(
            limit,
            connections=route.connections or limit.connections,
            rate=Rate.parse(route.rate) if route.rate else limit.rate,
        ),
    )


def set_limits(
    session: Session, name: str, *, connections: int | None, rate: Rate | None
) -> Provider:
    """Set what the operator allows for a route; None: as the table has it.

    Raises `NotFoundError` for a route that is not there, `InputError` for an odd number.
    """
    if connections is not None and not 1 <= connections <= MOST_CONNECTIONS:
        raise InputError(
            "connections is {connections}; choose 1 to {most}.",
            connections=connections,
            most=MOST_CONNECTIONS,
        )
    route_numbers(session)
    route = session.scalar(select(Route).where(Route.name == name))
    if route is None:
        raise NotFoundError("There is no route {name!r}; see: newsletter route list", name=name)
    route.connections = connections
    route.rate = None if rate is None else str(rate)
    session.flush()
    return _with_changes(route)

"""Where the mail of each domain goes, and what is allowed there: read seldom and remembered."""

from collections.abc import Callable, Collection
from dataclasses import replace

from sqlalchemy import Engine, select

from newsletter.db import reading
from newsletter.deliver.meter import Way
from newsletter.deliver.providers import Limit, Provider, routes
from newsletter.models import OTHER, Domain
from newsletter.plan.rates import Rate

KNOWN_SECONDS = 30.0


class Destinations:
    """Nothing here is older than half a minute: a limit that was set, a domain that was resolved."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._routes: dict[int, Provider] = {}
        self._sites: dict[int, tuple[int, str]] = {}
        self._read_at = -KNOWN_SECONDS

    def provider(self, route: int) -> Provider:
        """The provider of a route, with what the operator set for it."""
        self._refresh()
        return self._routes.get(route, self._routes[OTHER])

    def ways(self, transport_id: int, route: int, domain_ids: Collection[int]) -> dict[int, Way]:
        """Whose limits the mail to each of the domains keeps to."""
        provider = self.provider(route)
        if not provider.is_per_site:
            way = Way(transport_id, provider.name, provider.limit)
            return dict.fromkeys(domain_ids, way)
        self._look_up(domain_ids)
        return {domain_id: self._way(transport_id, domain_id) for domain_id in domain_ids}

    def _way(self, transport_id: int, domain_id: int) -> Way:
        route, site = self._sites[domain_id]
        provider = self._routes.get(route, self._routes[OTHER])
        key = f"{provider.name}/{site}" if provider.is_per_site else provider.name
        return Way(transport_id, key, provider.limit)

    def _look_up(self, domain_ids: Collection[int]) -> None:
        missing = [domain_id for domain_id in domain_ids if domain_id not in self._sites]
        if not missing:
            return
        with reading(self._engine) as session:
            rows = session.execute(
                select(Domain.id, Domain.route, Domain.mx_site, Domain.name).where(
                    Domain.id.in_(missing)
                )
            )
            self._sites.update(
                {domain_id: (route, site or name) for domain_id, route, site, name in rows}
            )

    def _refresh(self) -> None:
        if self._clock() - self._read_at < KNOWN_SECONDS:
            return
        with reading(self._engine) as session:
            self._routes = routes(session)
        self._sites.clear()
        self._read_at = self._clock()


def lowered(way: Way, *, connections: int | None, rate: Rate | None) -> Way:
    """The same way with limits that are no higher than these."""
    limit = way.limit
    return replace(
        way,
        limit=Limit(
            connections=min(limit.connections, connections or limit.connections),
            rate=min(limit.rate, rate or limit.rate, key=lambda each: each.per_second),
            messages_per_connection=limit.messages_per_connection,
        ),
    )

"""Where a request came from, and which language its reader prefers."""

import ipaddress
from functools import cache

from starlette.requests import Request

from newsletter.audience.fields import find_language
from newsletter.audience.signup import Visit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

MOST_LANGUAGES = 20
SPOKEN = {"en", "zh"}
"""Primary tags of the languages that there are words in."""


def visit_of(request: Request, trusted_proxies: str | None) -> Visit:
    return Visit(client_ip(request, trusted_proxies), request.headers.get("user-agent", ""))


def client_ip(request: Request, trusted_proxies: str | None) -> str:
    """The nearest address that is no trusted proxy; empty when the server does not tell it.

    What stands in X-Forwarded-For left of it was written by whoever sent the request.
    """
    found = _ip(request.client.host) if request.client else None
    if found is None:
        return ""
    trusted = _networks(trusted_proxies or "")
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    while hops and _is_in(found, trusted) and (hop := _ip(hops.pop())) is not None:
        found = hop
    return str(found)


def preferred_languages(request: Request) -> list[str]:
    """The tags of Accept-Language (RFC 9110 section 12.5.4), the most wanted first."""
    wanted: list[tuple[float, int, str]] = []
    for part in request.headers.get("accept-language", "").split(",")[:MOST_LANGUAGES]:
        tag, _, weight = part.partition(";")
        language = find_language(tag)
        if language is not None and (quality := _quality(weight)) > 0:
            wanted.append((-quality, len(wanted), language))
    return [language for _, _, language in sorted(wanted)]


def wanted_language(request: Request) -> str | None:
    """The one that the address names, or else the browser's most wanted, that pages speak."""
    chosen = request.query_params.get("lang")
    wanted = [chosen] if chosen else preferred_languages(request)
    return next((tag for tag in wanted if tag.partition("-")[0].lower() in SPOKEN), None)


def _quality(weight: str) -> float:
    name, _, value = weight.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0


@cache
def _networks(text: str) -> tuple[Network, ...]:
    names = filter(None, (each.strip() for each in text.split(",")))
    return tuple(ipaddress.ip_network(name, strict=False) for name in names)


def _ip(text: str) -> Ip | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _is_in(address: Ip, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)

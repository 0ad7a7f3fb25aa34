"""The only place that asks DNS."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from dns.exception import DNSException
from dns.resolver import NXDOMAIN, NoAnswer, NoResolverConfiguration, Resolver
from dns.reversename import from_address

from newsletter.errors import DnsError, InputError

SECONDS = 5.0


class Dns:
    """Asks the host's own name servers, or the one at `nameserver`: `9.9.9.9`, `127.0.0.1:5353`."""

    def __init__(self, nameserver: str | None = None) -> None:
        try:
            self._resolver = Resolver(configure=nameserver is None)
        except NoResolverConfiguration as error:
            message = "This host names no name server; give one."
            raise DnsError(message) from error
        self._resolver.lifetime = SECONDS
        if nameserver is not None:
            self._use(nameserver)

    def txt(self, name: str) -> tuple[str, ...]:
        """The TXT records of a name, each joined of its strings; none when there is no such name.

        Raises `DnsError` when nobody answers.
        """
        records = self._asked(name, "TXT")
        return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in records)

    def addresses(self, host: str) -> tuple[str, ...]:
        """The host's IPv4 and IPv6 addresses; none when there is no such host.

        Raises `DnsError` when nobody answers.
        """
        return tuple(
            str(record.address) for kind in ("A", "AAAA") for record in self._asked(host, kind)
        )

    def names_of(self, address: str) -> tuple[str, ...]:
        """The names that the reverse zone gives an address (PTR). Raises `DnsError`."""
        name = from_address(address).to_text(omit_final_dot=True)
        return tuple(
            record.target.to_text(omit_final_dot=True).lower()
            for record in self._asked(name, "PTR")
        )

    def _asked(self, name: str, kind: str) -> Sequence[Any]:
        try:
            return tuple(self._resolver.resolve(f"{name}.", kind))
        except (NXDOMAIN, NoAnswer):
            return ()
        except DNSException as error:
            message = f"DNS does not answer for {name}: {error}"
            raise DnsError(message) from error

    def _use(self, nameserver: str) -> None:
        host, _, port = (
            nameserver.rpartition(":") if nameserver.count(":") == 1 else (nameserver, "", "")
        )
        try:
            self._resolver.nameservers = [str(ip_address(host))]
            self._resolver.port = int(port or 53)
        except ValueError as error:
            message = (
                f"Write the name server as an address, with a port or without, not {nameserver!r}."
            )
            raise InputError(message) from error

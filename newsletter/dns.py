"""The only place that asks DNS."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from dns.asyncresolver import Resolver as AsyncResolver
from dns.exception import DNSException
from dns.name import root
from dns.resolver import NXDOMAIN, BaseResolver, NoAnswer, NoResolverConfiguration, Resolver
from dns.reversename import from_address

from newsletter.errors import DnsError, InputError

SECONDS = 5.0
MAIL_HOSTS_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class MailHosts:
    """Who takes a domain's mail, the preferred ones alone, for `seconds` from now.

    No hosts and `is_refused`: the domain takes no mail and says so (RFC 7505). No hosts otherwise:
    there is no such domain, or nothing at it that could take mail (RFC 5321 section 5.1).
    """

    hosts: tuple[str, ...]
    seconds: int
    is_refused: bool = False


class Dns:
    """Asks the host's own name servers, or the one at `nameserver`: `9.9.9.9`, `127.0.0.1:5353`."""

    def __init__(self, nameserver: str | None = None) -> None:
        try:
            self._resolver = Resolver(configure=nameserver is None)
            self._async_resolver = AsyncResolver(configure=nameserver is None)
        except NoResolverConfiguration as error:
            raise DnsError("This host names no name server; give one.") from error
        self._resolver.lifetime = SECONDS
        self._async_resolver.lifetime = MAIL_HOSTS_SECONDS
        if nameserver is not None:
            _use(nameserver, self._resolver, self._async_resolver)

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
            raise DnsError(
                "DNS does not answer for {name}: {error}", name=name, error=error
            ) from error

    async def mail_hosts(self, domain: str) -> MailHosts:
        """Where mail to `domain` goes. Raises `DnsError` when nobody answers."""
        try:
            return await self._mail_hosts(domain)
        except NXDOMAIN:
            return MailHosts((), 0)
        except DNSException as error:
            raise DnsError(
                "DNS does not answer for {domain}: {error}", domain=domain, error=error
            ) from error

    async def _mail_hosts(self, domain: str) -> MailHosts:
        try:
            answer = await self._async_resolver.resolve(f"{domain}.", "MX")
        except NoAnswer:
            return await self._itself(domain)
        seconds = answer.rrset.ttl if answer.rrset is not None else 0
        best = min(record.preference for record in answer)
        hosts = {
            record.exchange.to_text(omit_final_dot=True).lower()
            for record in answer
            if record.preference == best and record.exchange != root
        }
        return MailHosts(tuple(sorted(hosts)), seconds, is_refused=not hosts)

    async def _itself(self, domain: str) -> MailHosts:
        """A domain without MX records takes its mail at its own address, if it has one."""
        for kind in ("A", "AAAA"):
            try:
                answer = await self._async_resolver.resolve(f"{domain}.", kind)
            except NoAnswer:
                continue
            return MailHosts((domain,), answer.rrset.ttl if answer.rrset is not None else 0)
        return MailHosts((), 0)


def _use(nameserver: str, *resolvers: BaseResolver) -> None:
    host, _, port = (
        nameserver.rpartition(":") if nameserver.count(":") == 1 else (nameserver, "", "")
    )
    try:
        for resolver in resolvers:
            resolver.nameservers = [str(ip_address(host))]
            resolver.port = int(port or 53)
    except ValueError as error:
        raise InputError(
            "Write the name server as an address, with a port or without, not {nameserver!r}.",
            nameserver=nameserver,
        ) from error

"""Whether the address that mail leaves from has a name that leads back to it.

The big mailbox providers defer or refuse mail from an address without one. Which address a relay
sends from only its operator knows: its own is looked at, as the nearest that can be seen from here.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from newsletter.deliver.diagnosis import Diagnosis, doubtful, fine, wrong
from newsletter.dns import Dns


def check_reverse_names(dns: Dns, host: str) -> Iterator[Diagnosis]:
    """Of each public address of the host. Raises `DnsError`."""
    addresses = _addresses(dns, host)
    if not addresses:
        yield wrong(f"PTR of {host}", "It has no address.", "Correct the transport's host.")
    for address in addresses:
        if ip_address(address).is_global:
            yield _check(dns, f"PTR of {address}", address)
        else:
            remedy = "Look at the name of the address that it sends from in public."
            yield doubtful(f"PTR of {address}", f"{host} is at a private address.", remedy)


def _addresses(dns: Dns, host: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        return ("127.0.0.1",) if host == "localhost" else dns.addresses(host)


def _check(dns: Dns, subject: str, address: str) -> Diagnosis:
    names = dns.names_of(address)
    remedy = "Have whoever owns the address give it a name that leads back to it."
    if not names:
        return wrong(subject, "It has no name.", remedy)
    for name in names:
        if any(ip_address(each) == ip_address(address) for each in dns.addresses(name)):
            return fine(subject, f"{name}, which leads back to it.")
    return wrong(subject, f"{names[0]} does not lead back to it.", remedy)

"""What one person is assumed to have at hand of the Internet's addresses."""

import ipaddress


def network_of(ip: str) -> str:
    """256 addresses of IPv4, a /64 of IPv6; `nowhere` for what is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return "nowhere"
    bits = 24 if address.version == 4 else 64
    return str(ipaddress.ip_network((address, bits), strict=False))

"""Whose request it is, and what they read."""

import pytest
from starlette.requests import Request

from newsletter.web.client import client_ip, preferred_languages


def request(*, peer: str | None = "10.0.0.1", **headers: str) -> Request:
    return Request(
        {
            "type": "http",
            "client": (peer, 1) if peer else None,
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
            ],
        }
    )


@pytest.mark.parametrize(
    ("peer", "trusted", "forwarded", "ip"),
    [
        ("198.51.100.7", None, "203.0.113.9", "198.51.100.7"),
        ("198.51.100.7", "10.0.0.0/8", "203.0.113.9", "198.51.100.7"),
        ("10.0.0.1", "10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.0/8", "1.2.3.4, 203.0.113.9, 10.9.9.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.0/8", "10.1.1.1, 10.9.9.9", "10.1.1.1"),
        ("10.0.0.1", "10.0.0.0/8", "", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.0/8", "203.0.113.9, nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.0/8", "203.0.113.9:4711", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "fd00::/8, 10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        (None, "10.0.0.1", "203.0.113.9", ""),
        ("a.sock", "10.0.0.1", "203.0.113.9", ""),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(
    peer: str | None, trusted: str | None, forwarded: str, ip: str
) -> None:
    assert client_ip(request(peer=peer, x_forwarded_for=forwarded), trusted) == ip


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ("", []),
        ("*", []),
        ("en", ["en"]),
        ("zh-CN,zh;q=0.9,en;q=0.8", ["zh-CN", "zh", "en"]),
        ("en;q=0.1, de;q=0.7, fr", ["fr", "de", "en"]),
        ("en;q=0", []),
        ("en;q=high, de ; q=0.5", ["de"]),
        ("<script>, \x00, " + "x" * 99, []),
        ("de," * 500, ["de"] * 20),
    ],
)
def test_languages_come_in_the_order_of_their_weight(header: str, languages: list[str]) -> None:
    assert preferred_languages(request(accept_language=header)) == languages

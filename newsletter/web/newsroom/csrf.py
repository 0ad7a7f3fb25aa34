"""Refuses a write that another site had a browser send (S-08)."""

import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.requests import Request

from newsletter.settings import Settings

FIELD = "csrf"
HEADER = "X-CSRF-Token"
_OWN = ("same-origin", "none")


def is_from_this_site(request: Request, settings: Settings) -> bool:
    """What the browser says of its own accord: Sec-Fetch-Site, and Origin where it knows no better."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc in _hosts(request, settings)


def is_right(shown: str, expected: str) -> bool:
    return bool(expected) and hmac.compare_digest(shown.encode(), expected.encode())


def visitor_token(settings: Settings, visitor: str) -> str:
    """The token in forms for a browser that is not signed in, made of the cookie it was given."""
    if not visitor:
        return ""
    _, key = settings.secret_keys[0]
    made = hashlib.blake2b(
        visitor.encode(), key=hashlib.sha256(key.encode()).digest(), person=b"csrf"
    )
    return made.hexdigest()[:43]


def _hosts(request: Request, settings: Settings) -> tuple[str, str]:
    return request.headers.get("host", ""), urlsplit(settings.base_url).netloc

"""Unsubscribes the way a mailbox provider does: one POST without cookies or redirects (RFC 8058)."""

import http.client
import ipaddress
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from newsletter.errors import InputError

FORM = b"List-Unsubscribe=One-Click"
TIMEOUT_SECONDS = 10.0
SHOWN_BYTES = 4_096


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    body: str
    """The beginning of it."""


def post_one_click(url: str, *, base_url: str) -> Answer:
    """Only loopback addresses and `base_url`'s own origin are called: a letter is not to be trusted.

    Raises `InputError` if the address is another one, or does not answer.
    """
    parts = _callable_parts(url, base_url)
    connection = _connection(parts)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    try:
        connection.request(
            "POST", path, body=FORM, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        response = connection.getresponse()
        body = response.read(SHOWN_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            "{server} gave no answer: {reason}",
            server=parts.netloc,
            reason=str(error) or type(error).__name__,
        ) from error
    finally:
        connection.close()
    return Answer(response.status, response.reason, body.decode("utf-8", "replace"))


def _callable_parts(url: str, base_url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        origin, own = _origin(parts), _origin(urlsplit(base_url))
    except ValueError as error:
        raise InputError("{url!r} is not a web address", url=url) from error
    if parts.scheme not in {"http", "https"} or (origin != own and not _is_loopback(parts)):
        raise InputError(
            "Not called: {server} is neither this machine nor {base_url}",
            server=parts.netloc,
            base_url=base_url,
        )
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or default


def _is_loopback(parts: SplitResult) -> bool:
    if parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _connection(parts: SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT_SECONDS)
    context = ssl.create_default_context()
    return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT_SECONDS, context=context)

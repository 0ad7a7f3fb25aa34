"""The only way out to other people's web servers: to public addresses alone, and not for long (S-11)."""

import re
import time
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from ssl import SSLContext
from typing import Any, Protocol

import httpcore2
from httpx2 import URL, InvalidURL, create_ssl_context

from newsletter.errors import DnsError, FetchError, InputError
from newsletter.settings import Settings
from newsletter.words import Words

Network = IPv4Network | IPv6Network

SECONDS = 10.0
"""For one fetch with all its redirects; asking DNS may take as long again."""
MOST_BYTES = 10 * 1024 * 1024
MOST_REDIRECTS = 3
LONGEST_URL = 2000
PORTS = (80, 443)
AGENT = "newsletter/1"

_ANSWER_BYTES = 4096
_REDIRECTS = (301, 302, 303, 307, 308)
_ANY_KIND = ("*/*",)

_NAME = re.compile(r"[A-Za-z0-9._-]{1,254}", re.ASCII)
_UNICAST = IPv6Network("2000::/3")
_SPECIAL = tuple(
    ip_network(each)
    for each in (
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4: holds an IPv4 address, perhaps a private one
        "3fff::/20",
    )
)


class Names(Protocol):
    """What knows the addresses of a host; `newsletter.dns.Dns` does."""

    def addresses(self, host: str) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """`url` is where it was in the end; `kind` is its media type, `body` is decoded and whole.

    `status` is 200, or 304 with no body when the caller asked for what is newer.
    """

    url: str
    status: int
    kind: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to a POST: the first few thousand characters."""

    status: int
    text: str


class Fetcher:
    """Asks `names` for each host once, and connects to the very address that was looked at.

    `private` are networks that it reaches besides the public ones, there on any port.
    """

    def __init__(self, names: Names, *, private: Sequence[Network] = ()) -> None:
        self._names = names
        self._private = private

    @classmethod
    def of(cls, settings: Settings, names: Names) -> "Fetcher":
        opened = (settings.fetch_private or "").split(",")
        return cls(names, private=[ip_network(each.strip()) for each in opened if each.strip()])

    def get(
        self,
        url: str,
        *,
        kinds: Collection[str],
        headers: Mapping[str, str] | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> Fetched:
        """Follows a few redirects. Raises `InputError` for an address that we do not go to, and
        `FetchError` for all that came of going there but a whole answer of one of `kinds`.
        """
        place = _place(url)
        deadline = time.monotonic() + SECONDS
        fields = {"Accept": ", ".join(kinds), "Accept-Encoding": "gzip", **(headers or {})}
        for _ in range(MOST_REDIRECTS + 1):
            with self._asked("GET", place, fields, b"", deadline) as response:
                if response.status not in _REDIRECTS:
                    return _fetched(place, response, kinds, most_bytes)
                place = _next_place(place, response)
        raise FetchError(
            "{host} sends us from one address to the next, more than {most}.",
            host=place.host,
            most=MOST_REDIRECTS,
        )

    def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """Follows no redirect. Raises `InputError` and `FetchError` as `get` does."""
        place = _place(url)
        fields = {"Accept": "*/*", "Accept-Encoding": "identity", **headers}
        deadline = time.monotonic() + SECONDS
        with self._asked("POST", place, fields, body, deadline) as response:
            start = _first(response.iter_stream(), _ANSWER_BYTES)
        return Answer(response.status, start.decode("utf-8", "replace"))

    @contextmanager
    def _asked(
        self, method: str, place: URL, fields: Mapping[str, str], body: bytes, deadline: float
    ) -> Iterator[httpcore2.Response]:
        door = _Door(self._names, self._private, deadline)
        url = httpcore2.URL(
            scheme=place.raw_scheme, host=place.raw_host, port=place.port, target=place.raw_path
        )
        headers = list({"User-Agent": AGENT, "Connection": "close", **fields}.items())
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=door) as pool,
                pool.stream(method, url, headers=headers, content=body or None) as response,
            ):
                yield response
        except httpcore2.TimeoutException as error:
            raise FetchError(
                "{host} takes longer than {seconds:.0f} seconds.", host=place.host, seconds=SECONDS
            ) from error
        except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
            reason = str(error) or Words("the connection broke")
            raise FetchError(
                "{host} cannot be read: {reason}", host=place.host, reason=reason
            ) from error


def check_url(text: str) -> str:
    """The address as we keep it. Raises `InputError` for one that no fetch would ever go to."""
    return str(_place(text))


@cache
def _tls() -> SSLContext:
    return create_ssl_context(trust_env=False)


class _Door(httpcore2.NetworkBackend):
    """Opens connections to the addresses that we may reach, and to no other."""

    def __init__(self, names: Names, private: Sequence[Network], deadline: float) -> None:
        self._names = names
        self._private = private
        self._deadline = deadline
        self._outside = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = self._addresses(host)
        for address in addresses:
            # One that leads inside is one too many, whatever the others are.
            _require_allowed(address, port, host, self._private)
        failure: Exception | None = None
        for address in addresses:
            try:
                stream = self._outside.connect_tcp(
                    str(address), port, _left(self._deadline), None, socket_options
                )
            except httpcore2.ConnectError as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        message = f"there is no such host, or nobody listens on port {port}"
        raise httpcore2.ConnectError(message) from failure

    def _addresses(self, host: str) -> list[IPv4Address | IPv6Address]:
        literal = _literal(host)
        if literal is not None:
            return [literal]
        try:
            return [ip_address(each) for each in self._names.addresses(host)]
        except DnsError as error:
            raise FetchError(str(error)) from error


class _Stream(httpcore2.NetworkStream):
    """A connection that ends at the deadline, however slowly its bytes trickle in."""

    def __init__(self, inner: httpcore2.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> "_Stream":
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore2.ReadTimeout
    return seconds


def _place(text: str) -> URL:
    if len(text) > LONGEST_URL:
        raise InputError("The address has more than {longest} characters.", longest=LONGEST_URL)
    try:
        url = URL(text.strip())
    except InvalidURL as error:
        raise InputError("{text!r} is no web address: {error}", text=text, error=error) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise InputError(
            "{text!r} is no web address; write it as https://www.example.org/feed", text=text
        )
    if url.userinfo:
        raise InputError("The address holds a name or a password; leave out what is before the @.")
    _require_plain_host(url.raw_host.decode("ascii"))
    if not 0 < (url.port or PORTS[0]) < 65_536:
        raise InputError("There is no port {port}; leave it out.", port=url.port)
    return url.copy_with(fragment=None)


def _require_plain_host(host: str) -> None:
    """An IPv4 address has four decimal numbers; 127.1, 0x7f000001 and 2130706433 mean it too."""
    if _literal(host) is not None:
        return
    last = host.rstrip(".").rpartition(".")[2]
    is_number = last.isdecimal() or last.lower().startswith("0x")
    if is_number or not _NAME.fullmatch(host):
        raise InputError(
            "{host} is neither a name nor an address; write it as www.example.org", host=host
        )


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _require_allowed(
    address: IPv4Address | IPv6Address, port: int, host: str, private: Sequence[Network]
) -> None:
    if any(address in network for network in private):
        return
    if not _is_public(address):
        raise FetchError("{host} is not on the public internet; we do not go there.", host=host)
    if port not in PORTS:
        raise FetchError(
            "{host} is to be asked on port {port}; we only use {http} and {https}.",
            host=host,
            port=port,
            http=PORTS[0],
            https=PORTS[1],
        )


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _SPECIAL):
        return False
    if isinstance(address, IPv6Address):
        # Outside of it are loopback, link-local, ULA, and the forms that hold an IPv4 address.
        return address in _UNICAST
    return address.is_global and not address.is_multicast


def _next_place(place: URL, response: httpcore2.Response) -> URL:
    location = _headers(response).get("location", "")
    try:
        return _place(str(place.join(location)))
    except (InputError, InvalidURL) as error:
        raise FetchError(
            "{host} sends us to an address that we do not go to: {location!r}",
            host=place.host,
            location=location[:200],
        ) from error


def _fetched(
    place: URL, response: httpcore2.Response, kinds: Collection[str], most_bytes: int
) -> Fetched:
    headers = _headers(response)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status == HTTPStatus.NOT_MODIFIED:
        return Fetched(str(place), response.status, kind, headers, b"")
    if response.status != HTTPStatus.OK:
        raise FetchError(
            "{host} answers {status}.", host=place.host, status=_status(response.status)
        )
    if kind not in kinds and kinds != _ANY_KIND:
        raise FetchError(
            "{host} answers with {kind}, which is not expected.",
            host=place.host,
            kind=kind or Words("something unnamed"),
        )
    body = _body(response, headers, place.host, most_bytes)
    return Fetched(str(place), response.status, kind, headers, body)


def _headers(response: httpcore2.Response) -> dict[str, str]:
    return {
        name.decode("ascii", "replace").lower(): value.decode("latin-1")
        for name, value in response.headers
    }


def _body(
    response: httpcore2.Response, headers: Mapping[str, str], host: str, most_bytes: int
) -> bytes:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    stream = response.iter_stream()
    if encoding in {"gzip", "x-gzip", "deflate"}:
        stream = _unpacked(stream, host, most_bytes)
    elif encoding not in {"", "identity"}:
        raise FetchError(
            "{host} packs its answer in a way we did not ask for ({encoding}).",
            host=host,
            encoding=encoding[:40],
        )
    body = _first(stream, most_bytes + 1)
    if len(body) > most_bytes:
        raise FetchError(
            "{host} sends more than {megabytes} MB.",
            host=host,
            megabytes=most_bytes // 1024 // 1024,
        )
    return body


def _unpacked(stream: Iterable[bytes], host: str, most_bytes: int) -> Iterator[bytes]:
    """Never unpacks more than is wanted at a time: a kilobyte may hold a megabyte."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        for packed in stream:
            yield unpacker.decompress(packed, most_bytes + 1)
    except zlib.error as error:
        raise FetchError(
            "{host} sends a packed answer that cannot be unpacked.", host=host
        ) from error
    if not unpacker.eof:
        raise FetchError("{host} breaks off in the middle of its answer.", host=host)


def _first(stream: Iterable[bytes], size: int) -> bytes:
    body = bytearray()
    for chunk in stream:
        body += chunk
        if len(body) >= size:
            break
    return bytes(body[:size])


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)

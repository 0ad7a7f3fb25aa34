"""S-11: one way out, which leads to public addresses alone."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network

import pytest

from newsletter import fetch
from newsletter.errors import DnsError, FetchError, InputError
from newsletter.fetch import Fetcher, check_url
from tests.webserver import LOOPBACK, Asked, Names, Reply, loopback_fetcher, running_web_server

HTML = ("text/html",)


@contextmanager
def canary(host: str) -> Iterator[int]:
    """A port that nobody may knock at; fails the test when somebody did."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as door:
        door.bind((host, 0))
        door.listen()
        door.settimeout(0.05)
        yield door.getsockname()[1]
        with pytest.raises(TimeoutError):
            door.accept()


def a_page(_asked: Asked) -> Reply:
    return Reply(b"<title>Hello</title>")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/feed",
        "//example.org/feed",
        "file:///etc/passwd",
        "gopher://127.0.0.1:25/x",
        "ftp://example.org/",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://a@127.0.0.1/",
        "http://user:secret@example.org/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.01/",
        "http://127.0.0.1.:80x/",
        "http://example.org:99999/",
        "http://1.2.3.4.5/",
        "http://[::1/",
        "http://exa mple.org/",
        "https://example.org/" + "a" * 3000,
    ],
)
def test_what_is_no_plain_web_address_is_refused_before_anybody_is_asked(url: str) -> None:
    names = Names()

    with pytest.raises(InputError):
        Fetcher(names).get(url, kinds=HTML)

    assert names.questions == []
    with pytest.raises(InputError):
        check_url(url)


INSIDE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_by_number_and_by_name(address: str) -> None:
    literal = f"[{address}]" if ":" in address else address
    fetcher = Fetcher(Names({"rebind.example": (address,)}))

    for host in (literal, "rebind.example"):
        with pytest.raises(FetchError, match="not on the public internet"):
            fetcher.get(f"http://{host}/", kinds=HTML)


@pytest.mark.parametrize("address", ["1.1.1.1", "9.9.9.9", "2606:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_allowed_on_the_ports_of_the_web_alone(address: str) -> None:
    fetcher = Fetcher(Names({"feeds.example": (address,)}))

    with pytest.raises(FetchError, match="we only use 80 and 443"):
        fetcher.get("http://feeds.example:6379/", kinds=HTML)


def test_one_address_inside_is_one_too_many() -> None:
    with canary("127.0.0.1") as port:
        fetcher = Fetcher(Names({"mixed.example": ("1.1.1.1", "127.0.0.1")}))

        with pytest.raises(FetchError):
            fetcher.get(f"http://mixed.example:{port}/", kinds=HTML)


@pytest.mark.parametrize(
    ("host", "bound"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("localhost", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[::ffff:7f00:1]", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
    ],
)
def test_nobody_knocks_at_a_door_inside(host: str, bound: str) -> None:
    with canary(bound) as port, pytest.raises(FetchError):
        Fetcher(Names({"localhost": (bound,)})).get(f"http://{host}:{port}/", kinds=HTML)


def test_a_name_is_asked_for_once_and_the_answer_is_what_is_connected_to() -> None:
    answers = iter([("127.0.0.1",), ("10.0.0.1",)])

    class Flipping:
        def addresses(self, host: str) -> tuple[str, ...]:
            return next(answers)

    with running_web_server(a_page) as server:
        fetched = Fetcher(Flipping(), private=[LOOPBACK]).get(
            server.url(host="feeds.example"), kinds=HTML
        )

    assert fetched.body == b"<title>Hello</title>"
    assert server.asked[0].headers["host"] == f"feeds.example:{server.port}"
    assert next(answers) == ("10.0.0.1",)


def test_nothing_of_ours_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    with running_web_server(a_page) as server:
        loopback_fetcher().get(server.url("/a?b=c#d"), kinds=HTML)

    asked = server.asked[0]
    assert asked.path == "/a?b=c"
    assert not {"cookie", "authorization", "referer", "x-forwarded-for"} & set(asked.headers)


def test_a_redirect_is_followed_three_times() -> None:
    def answer(asked: Asked) -> Reply:
        step = int(asked.path.removeprefix("/"))
        if step == 3:
            return Reply(b"there")
        return Reply(status=302, headers={"Location": f"/{step + 1}"})

    with running_web_server(answer) as server:
        fetched = loopback_fetcher().get(server.url("/0"), kinds=HTML)

    assert fetched.body == b"there"
    assert fetched.url.endswith("/3")


def test_a_fourth_redirect_is_one_too_many() -> None:
    def answer(_asked: Asked) -> Reply:
        return Reply(status=307, headers={"Location": "/again"})

    with running_web_server(answer) as server, pytest.raises(FetchError, match="more than 3"):
        loopback_fetcher().get(server.url(), kinds=HTML)

    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "//169.254.169.254/latest/meta-data/",
        "http://a:b@127.0.0.1/",
        "http://2130706433/",
        "http://inside.example/",
        "",
    ],
)
def test_a_redirect_is_looked_at_like_the_first_address(location: str) -> None:
    def answer(_asked: Asked) -> Reply:
        return Reply(status=301, headers={"Location": location} if location else {})

    names = Names({"inside.example": ("192.168.0.1",)})
    with running_web_server(answer) as server, pytest.raises(FetchError):
        Fetcher(names, private=[LOOPBACK]).get(server.url(), kinds=HTML)


def test_an_unknown_name_is_said_to_be_one() -> None:
    with pytest.raises(FetchError, match="no such host"):
        Fetcher(Names()).get("https://nowhere.example/", kinds=HTML)


def test_silent_name_servers_are_an_error_like_any_other() -> None:
    class Silent:
        def addresses(self, host: str) -> tuple[str, ...]:
            raise DnsError("DNS does not answer for slow.example")

    with pytest.raises(FetchError, match="DNS does not answer"):
        Fetcher(Silent()).get("https://slow.example/", kinds=HTML)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", ""])
def test_an_unexpected_kind_of_content_is_not_read(kind: str) -> None:
    with (
        running_web_server(lambda _: Reply(b"x", kind=kind)) as server,
        pytest.raises(FetchError, match="not expected"),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML)


@pytest.mark.parametrize("status", [204, 404, 410, 429, 500, 999])
def test_an_error_of_the_server_is_told_in_its_words(status: int) -> None:
    with (
        running_web_server(lambda _: Reply(status=status)) as server,
        pytest.raises(FetchError, match=str(status)),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML)


def test_what_is_not_newer_comes_without_a_body() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status=304 if asked.headers.get("if-none-match") == '"a"' else 200)

    with running_web_server(answer) as server:
        fetched = loopback_fetcher().get(server.url(), kinds=HTML, headers={"If-None-Match": '"a"'})

    assert (fetched.status, fetched.body) == (304, b"")


def test_a_packed_answer_is_unpacked() -> None:
    packed = gzip.compress("Grüße".encode() * 1000, mtime=0)

    with running_web_server(
        lambda _: Reply(packed, headers={"Content-Encoding": "gzip"})
    ) as server:
        fetched = loopback_fetcher().get(server.url(), kinds=HTML)

    assert fetched.body == "Grüße".encode() * 1000
    assert server.asked[0].headers["accept-encoding"] == "gzip"


def test_a_bomb_is_put_down_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=9, mtime=0)

    with (
        running_web_server(lambda _: Reply(bomb, headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(FetchError, match="more than 10 MB"),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"not packed", "gzip"), (gzip.compress(b"x" * 9999, mtime=0)[:-20], "gzip"), (b"x", "br")],
)
def test_a_badly_packed_answer_is_an_error(body: bytes, encoding: str) -> None:
    with (
        running_web_server(lambda _: Reply(body, headers={"Content-Encoding": encoding})) as server,
        pytest.raises(FetchError, match=r"pack|breaks off"),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML)


def test_a_large_answer_is_left() -> None:
    with (
        running_web_server(lambda _: Reply(b"x" * 2001)) as server,
        pytest.raises(FetchError, match="sends more than"),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML, most_bytes=2000)


@pytest.mark.parametrize(
    "raw", [b"", b"HELO x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n"]
)
def test_what_is_no_http_is_an_error(raw: bytes) -> None:
    with (
        running_web_server(lambda _: raw) as server,
        pytest.raises(FetchError, match="cannot be read"),
    ):
        loopback_fetcher().get(server.url(), kinds=HTML)


def test_bytes_that_trickle_in_do_not_hold_us_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "SECONDS", 0.5)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        url = f"http://127.0.0.1:{door.getsockname()[1]}/"
        began = time.monotonic()

        with pytest.raises(FetchError, match="takes longer"):
            loopback_fetcher().get(url, kinds=HTML)

    assert time.monotonic() - began < 3


def test_a_post_tells_the_answer_and_follows_nothing() -> None:
    def answer(_asked: Asked) -> Reply:
        return Reply(b"thanks " * 5000, status=302, headers={"Location": "/elsewhere"})

    with running_web_server(answer) as server:
        told = loopback_fetcher().post(server.url(), b"{}", headers={"X-Id": "1"})

    assert (told.status, len(told.text)) == (302, 4096)
    assert [(each.method, each.body) for each in server.asked] == [("POST", b"{}")]
    assert server.asked[0].headers["x-id"] == "1"


def test_a_private_network_is_open_on_every_port_when_the_operator_says_so() -> None:
    fetcher = Fetcher(Names(), private=[ip_network("127.0.0.1/32")])

    with running_web_server(a_page) as server:
        assert fetcher.get(server.url(), kinds=HTML).status == 200
        with pytest.raises(FetchError):
            fetcher.get(server.url(host="127.0.0.2"), kinds=HTML)

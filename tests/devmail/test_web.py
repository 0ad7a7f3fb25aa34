import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from newsletter.clock import utc_now
from newsletter.devmail.received import Received
from newsletter.devmail.store import Counter, Store
from newsletter.devmail.web import create_app

BASE_URL = "https://news.example"
XSS = "<script>alert(1)</script>"


@dataclass(frozen=True, slots=True)
class Box:
    store: Store
    browser: TestClient


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with Store(tmp_path) as store:
        app = create_app(store, base_url=BASE_URL, host_names=frozenset({"devmail.example"}))
        with TestClient(app, base_url="http://localhost:8025") as browser:
            yield Box(store, browser)


class Site(http.server.ThreadingHTTPServer):
    """Somewhere to unsubscribe; remembers what was posted."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _SiteHandler)
        self.posts: list[tuple[str, bytes, str | None]] = []


class _SiteHandler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Site)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, body, self.headers["Content-Type"]))
        answer = f"You have left. {XSS}".encode()
        self.send_response(200 if self.path == "/u/1?x=2" else 302)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def mail(
    *recipients: str,
    subject: str = "Morning",
    html: str = "<p>Hi</p>",
    text: str = "Hi",
    fields: str = "",
) -> Received:
    content = (
        f"From: The Desk <desk@news.example>\r\nSubject: {subject}\r\n{fields}MIME-Version: 1.0\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
        f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--b--\r\n"
    )
    return Received(
        mail_from="bounce@news.example",
        rcpt_to=recipients or ("ada@example.com",),
        content=content.encode(),
        connection=1,
        at=utc_now(),
    )


def leaving(url: str) -> str:
    return (
        f"List-Unsubscribe: <{url}>, <mailto:leave@news.example>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )


def test_an_empty_mailbox_says_so(box: Box) -> None:
    assert "Nothing has come yet" in box.browser.get("/").text


def test_the_list_shows_the_newest_first(box: Box) -> None:
    box.store(mail("ada@example.com", subject="First"))
    box.store(mail("bo@example.com", "cy@example.com", subject="Second"))

    page = box.browser.get("/").text

    assert page.index("Second") < page.index("First")
    assert "bo@example.com" in page
    assert "+1" in page
    assert ">The Desk<" in page


def test_searching_and_paging_keep_each_other(box: Box) -> None:
    for number in range(120):
        box.store(mail(f"reader{number % 2}@example.com"))

    first = box.browser.get("/?to=reader1")
    second = box.browser.get("/?to=reader1&before=22")

    assert "/messages/120" in first.text
    assert "/messages/119" not in first.text
    assert 'href="/?to=reader1&amp;before=22"' in first.text
    assert "/messages/20" in second.text
    assert "Older" not in second.text
    assert "No mail to" in box.browser.get("/?to=nobody").text


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("text", "Good &lt;morning&gt;"),
        ("source", "Content-Type: multipart/alternative"),
        ("headers", "bounce@news.example"),
        ("html", 'src="/messages/1/frame"'),
        ("nonsense", 'src="/messages/1/frame"'),
    ],
)
def test_views_of_a_message(box: Box, view: str, expected: str) -> None:
    box.store(mail(text="Good <morning>"))

    assert expected in box.browser.get(f"/messages/1?view={view}").text


def test_what_a_message_says_stays_inert_s16(box: Box) -> None:
    box.store(
        mail(
            f"{XSS}@example.com",
            subject=XSS,
            text=XSS,
            html=f"{XSS}<img src=x onerror=alert(1)>",
            fields=f"X-Thing: {XSS}\r\n" + leaving(f"javascript:{XSS.replace('>', '')}"),
        )
    )

    pages = ["/", "/messages/1", *(f"/messages/1?view={v}" for v in ("text", "source", "headers"))]
    for address in pages:
        page = box.browser.get(address)
        assert XSS not in page.text
        assert "alert(1)" in page.text or address == "/messages/1"
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe-inline" not in policy
        assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert "Unsubscribe with one click" not in box.browser.get("/messages/1?view=headers").text


def test_html_is_shown_in_a_frame_without_scripts_or_origin_s16(box: Box) -> None:
    box.store(mail(html=f"<!doctype html><html><head><title>x</title></head>{XSS}"))

    page = box.browser.get("/messages/1").text
    frame = box.browser.get("/messages/1/frame")

    sandbox = "allow-popups allow-popups-to-escape-sandbox"
    assert f'sandbox="{sandbox}"' in page
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith(f"sandbox {sandbox}; default-src 'none'; img-src http: https: data:;")
    assert "script-src" not in policy
    assert '<head><base target="_blank"><title>' in frame.text


def test_a_letter_can_be_seen_in_either_colour_scheme(box: Box) -> None:
    style = (
        "<style>:root{color-scheme:light dark}"
        "@media (prefers-color-scheme:dark){p{color:#fff}}</style>"
    )
    box.store(mail(html=style))

    dark = box.browser.get("/messages/1/frame?scheme=dark").text
    light = box.browser.get("/messages/1/frame?scheme=light").text

    assert "@media (min-width: 0){" in dark
    assert ":root{color-scheme: dark}" in dark
    assert "@media (max-width: 0){" in light
    assert style in box.browser.get("/messages/1/frame?scheme=other").text


def test_one_click_posts_what_a_mailbox_provider_posts(box: Box, site: Site) -> None:
    box.store(mail(fields=leaving(f"http://127.0.0.1:{site.server_port}/u/1?x=2")))

    assert "Unsubscribe with one click" in box.browser.get("/messages/1?view=headers").text
    page = box.browser.post("/messages/1/one-click")

    assert site.posts == [
        ("/u/1?x=2", b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded")
    ]
    assert "200 OK" in page.text
    assert "You have left. &lt;script&gt;" in page.text


def test_one_click_follows_no_redirect(box: Box, site: Site) -> None:
    box.store(mail(fields=leaving(f"http://localhost:{site.server_port}/moved")))

    assert "302 Found" in box.browser.post("/messages/1/one-click").text


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("http://192.0.2.1/u", "192.0.2.1 is neither this machine nor"),
        ("https://127.0.0.1.evil.example/u", "is neither this machine nor"),
        ("http://news.example/u", "is neither this machine nor"),
        ("https://news.example:8443/u", "is neither this machine nor"),
        ("http://[::1/u", "is not a web address"),
        ("http://127.0.0.1:1/u", "gave no answer"),
        ("http://127.0.0.1:99999/u", "is not a web address"),
    ],
)
def test_one_click_calls_no_foreign_address(box: Box, url: str, complaint: str) -> None:
    box.store(mail(fields=leaving(url)))

    assert complaint in box.browser.post("/messages/1/one-click").text


def test_one_click_needs_an_offer(box: Box) -> None:
    box.store(mail())

    answer = box.browser.post("/messages/1/one-click")

    assert answer.status_code == 409
    assert "offers no one-click" in answer.text


def test_emptying_the_mailbox(box: Box) -> None:
    box.store(mail())

    answer = box.browser.post("/empty", headers={"Origin": "http://localhost:8025"})

    assert answer.url.path == "/"
    assert "Nothing has come yet" in answer.text


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8025", 200),
        ("127.0.0.1", 200),
        ("[::1]:8025", 200),
        ("devmail.example:80", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("[::1", 421),
    ],
)
def test_only_known_host_names_are_answered(box: Box, host: str, status: int) -> None:
    assert box.browser.get("/api/count", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
def test_another_site_cannot_change_anything(box: Box, origin: str) -> None:
    box.store(mail())

    answers = [
        box.browser.post("/empty", headers={"Origin": origin}),
        box.browser.delete("/api/messages", headers={"Origin": origin}),
        box.browser.post("/messages/1/one-click", headers={"Origin": origin}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert box.store.count() == 1


def test_the_api_lists_reads_counts_and_deletes(box: Box) -> None:
    for number in range(3):
        box.store(mail(f"reader{number}@example.com"))

    first = box.browser.get("/api/messages?limit=2").json()
    rest = box.browser.get(f"/api/messages?limit=2&before={first['next_before']}").json()
    found = box.browser.get("/api/messages?to=reader1").json()["messages"]
    one = box.browser.get("/api/messages/2").json()
    source = box.browser.get("/api/messages/2/source")

    assert [message["id"] for message in first["messages"]] == [3, 2]
    assert [message["id"] for message in rest["messages"]] == [1]
    assert rest["next_before"] is None
    assert [message["recipients"] for message in found] == [["reader1@example.com"]]
    assert (one["text"], one["html"], one["subject"]) == ("Hi", "<p>Hi</p>", "Morning")
    assert ["Subject", "Morning"] in one["headers"]
    assert one["size"] == len(source.content)
    assert source.headers["Content-Type"] == "message/rfc822"
    assert box.browser.get("/api/count").json() == {"received": 3}
    assert box.browser.delete("/api/messages").status_code == 204
    assert box.browser.get("/api/count").json() == {"received": 0}


def test_mistakes_are_answered_in_kind(box: Box) -> None:
    page = box.browser.get("/messages/7")
    answer = box.browser.get("/api/messages/7")

    assert page.status_code == answer.status_code == 404
    assert "<h1>Not here</h1>" in page.text
    assert answer.json() == {"error": "There is no such message; it may have been deleted."}
    assert box.browser.get("/api/messages?limit=x").json() == {"error": "limit must be a number."}
    assert box.browser.get("/nowhere").status_code == 404


def test_a_message_without_html_opens_as_text(box: Box) -> None:
    box.store(
        Received(
            mail_from="",
            rcpt_to=("ada@example.com",),
            content=b"Subject: Hi\r\n\r\nplain words\r\n",
            connection=1,
            at=utc_now(),
        )
    )

    assert "plain words" in box.browser.get("/messages/1").text
    assert box.browser.get("/messages/1/frame").status_code == 404


def test_a_mailbox_that_keeps_nothing_still_counts() -> None:
    counter = Counter()
    counter(mail())
    app = create_app(counter, base_url=BASE_URL)
    with TestClient(app, base_url="http://localhost:8025") as browser:
        assert "1 received, none kept" in browser.get("/").text
        assert browser.get("/api/count").json() == {"received": 1}


def test_everything_the_pages_load_is_their_own(box: Box) -> None:
    page = box.browser.get("/").text

    for name in ("mailbox.css", "mailbox.js", "icon.svg"):
        assert f'"/static/{name}"' in page
        assert box.browser.get(f"/static/{name}").status_code == 200

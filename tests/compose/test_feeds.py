"""Feeds: what is read of them, how often, and what becomes of a bad one (S-22)."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from newsletter.compose import feeds
from newsletter.compose.candidates import hand_in
from newsletter.compose.feed_format import MOST_ENTRIES, FeedText, read_feed
from newsletter.compose.feeds import add_feed, fetch_due, read_now, remove_feed
from newsletter.compose.page_facts import read_page
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import Candidate, CandidateState, Feed
from tests.newsroom import MORNING, add_list
from tests.webserver import Asked, Reply, loopback_fetcher, running_web_server

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0"><channel><title>Harbour Gazette</title><link>https://harbour.example/</link>
<item><title>Ferries &amp; trams</title><link>/ferry</link>
<description>&lt;p&gt;The &lt;b&gt;first&lt;/b&gt; ferry.&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;</description>
<pubDate>Fri, 20 Nov 2026 05:00:00 GMT</pubDate></item>
<item><title>No link</title></item>
<item><link>https://harbour.example/untitled</link></item>
<item><title>Elsewhere</title><link>javascript:alert(1)</link></item>
</channel></rss>"""

ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title type="html">Harbour &lt;i&gt;Atom&lt;/i&gt;</title>
<entry><title type="text">5 < 6 in the harbour</title><link href="https://harbour.example/a"/>
<summary>Short.</summary><updated>2026-11-20T05:30:00+01:00</updated></entry></feed>""".replace(
    "5 < 6", "5 &lt; 6"
)

JSON_FEED = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "Harbour JSON",
        "items": [
            {
                "id": "1",
                "url": "https://harbour.example/j",
                "title": "A crane",
                "content_html": "<p>It <em>fell</em>.</p>",
                "date_published": "2026-11-20T04:00:00Z",
            },
            {"id": "2", "title": "no address"},
            "not an item",
            {"id": "3", "url": 5, "title": ["x"]},
        ],
    }
)

BOMB = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">{}]><rss><channel>
<title>&z;</title></channel></rss>""".format(
    "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
)
EXTERNAL = """<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<rss version="2.0"><channel><title>&x;</title><item><title>&x;</title><link>https://a.example/</link>
</item></channel></rss>"""


def read(text: str | bytes, content_type: str = "application/xml") -> FeedText:
    body = text.encode() if isinstance(text, str) else text
    return read_feed(body, url="https://harbour.example/feed.xml", content_type=content_type)


def test_rss_is_read_and_what_leads_nowhere_is_left() -> None:
    feed = read(RSS)

    assert feed.name == "Harbour Gazette"
    assert [(each.title, each.url, each.summary) for each in feed.entries] == [
        ("Ferries & trams", "https://harbour.example/ferry", "The first ferry.")
    ]
    assert feed.entries[0].published_at == datetime(2026, 11, 20, 5, tzinfo=UTC)


def test_atom_is_read() -> None:
    feed = read(ATOM)

    assert feed.name == "Harbour Atom"
    assert feed.entries[0].title == "5 < 6 in the harbour"
    assert feed.entries[0].published_at == datetime(2026, 11, 20, 4, 30, tzinfo=UTC)


def test_a_json_feed_is_read_whatever_its_items_hold() -> None:
    feed = read(JSON_FEED, "application/feed+json")

    assert feed.name == "Harbour JSON"
    assert [(each.title, each.summary) for each in feed.entries] == [("A crane", "It fell.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("hostile", [BOMB, EXTERNAL], ids=["a billion laughs", "a file of ours"])
def test_a_feed_that_defines_entities_is_not_read(hostile: str, encoding: str) -> None:
    began = time.monotonic()

    with pytest.raises(InputError, match="entities"):
        read(hostile.encode(encoding))

    assert time.monotonic() - began < 1


def test_an_old_doctype_without_definitions_does_no_harm() -> None:
    doctype = (
        '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://my.netscape.com/rss.dtd">'
    )

    assert read(RSS.replace("?>", "?>" + doctype, 1)).name == "Harbour Gazette"


@pytest.mark.parametrize(
    "text",
    ["", "hello", "<html><body>x</body></html>", "{}", "[]", '{"version": 1}', "{" * 100_000, "\0"],
    ids=lambda text: text[:20] or "nothing",
)
def test_what_is_no_feed_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InputError):
        read(text)


def test_a_feed_of_thousands_is_read_as_far_as_is_useful() -> None:
    item = "<item><title>Story {0}</title><link>https://harbour.example/{0}</link></item>"
    items = "".join(item.format(number) for number in range(3 * MOST_ENTRIES))

    assert len(read(f"<rss><channel>{items}</channel></rss>").entries) == MOST_ENTRIES


def test_a_page_tells_its_headline_its_source_and_its_feeds() -> None:
    page = """<html><head><title>Fallback | Site</title>
    <meta property="og:title" content="Ferries &amp; trams"><meta name="description" content="First.">
    <meta property="og:site_name" content="Harbour Gazette">
    <meta property="article:published_time" content="2026-11-20T06:00:00+01:00">
    <link rel="alternate" type="application/rss+xml" href="/feed.xml"></head><body></body></html>"""

    facts = read_page(page.encode(), url="https://www.harbour.example/x", content_type="text/html")

    assert (facts.title, facts.summary, facts.source) == (
        "Ferries & trams",
        "First.",
        "Harbour Gazette",
    )
    assert facts.published_at == datetime(2026, 11, 20, 5, tzinfo=UTC)
    assert facts.feeds == ("https://www.harbour.example/feed.xml",)


@pytest.mark.parametrize(
    ("raw", "content_type", "title"),
    [
        ("<title>Grüße</title>".encode(), "text/html", "Grüße"),
        ("<title>Grüße</title>".encode("cp1252"), "text/html; charset=windows-1252", "Grüße"),
        ('<meta charset="gb18030"><title>京东</title>'.encode("gb18030"), "text/html", "京东"),
        (b"<title>a\x00b</title>", "text/html; charset=nonsense", None),
        (b"", "text/html", None),
        (b"<p>no title</p>", "text/html", None),
    ],
)
def test_a_page_is_read_in_the_encoding_it_is_in(
    raw: bytes, content_type: str, title: str | None
) -> None:
    if title is None:
        with pytest.raises(InputError):
            read_page(raw, url="https://h.example/", content_type=content_type)
        return

    assert read_page(raw, url="https://h.example/", content_type=content_type).title == title


class Clock:
    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now


def a_feed(engine: Engine, list_id: int, url: str) -> int:
    with transaction(engine) as session:
        return add_feed(session, list_id, url, by="Ada", now=MORNING).id


def feed_of(engine: Engine, feed_id: int) -> Feed:
    with reading(engine) as session:
        return session.get_one(Feed, feed_id)


def titles(engine: Engine) -> list[str]:
    with reading(engine) as session:
        return list(session.scalars(select(Candidate.title).order_by(Candidate.id)))


def an_rss(_asked: Asked) -> Reply:
    return Reply(RSS.encode(), kind="application/rss+xml", headers={"ETag": '"one"'})


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.queue.ring", lambda *_: None)


def test_a_feed_is_read_once_and_then_asked_what_is_newer(engine: Engine) -> None:
    clock = Clock()
    list_id = add_list(engine)

    def answer(asked: Asked) -> Reply:
        return Reply(status=304) if asked.headers.get("if-none-match") else an_rss(asked)

    with running_web_server(answer) as server:
        feed_id = a_feed(engine, list_id, server.url("/feed"))
        fetch_due(engine, loopback_fetcher(), clock=clock)
        fetch_due(engine, loopback_fetcher(), clock=clock)
        clock.now += feeds.EVERY
        fetch_due(engine, loopback_fetcher(), clock=clock)

    assert [each.headers.get("if-none-match") for each in server.asked] == [None, '"one"']
    feed = feed_of(engine, feed_id)
    assert (feed.name, feed.error, feed.read_at) == ("Harbour Gazette", None, clock.now)
    assert titles(engine) == ["Ferries & trams"]


def test_a_feed_that_fails_is_asked_less_and_less_until_it_works(engine: Engine) -> None:
    clock = Clock()
    list_id = add_list(engine)
    waits = []
    works = False

    def answer(asked: Asked) -> Reply:
        return an_rss(asked) if works else Reply(status=503)

    with running_web_server(answer) as server:
        feed_id = a_feed(engine, list_id, server.url())
        for _ in range(8):
            fetch_due(engine, loopback_fetcher(), clock=clock)
            feed = feed_of(engine, feed_id)
            waits.append(feed.next_at - clock.now)
            clock.now = feed.next_at
        error = feed.error
        works = True
        fetch_due(engine, loopback_fetcher(), clock=clock)

    assert waits[:3] == [feeds.EVERY * 2, feeds.EVERY * 4, feeds.EVERY * 8]
    assert waits[-1] == feeds.LONGEST_WAIT
    assert error is not None
    assert "503" in error
    feed = feed_of(engine, feed_id)
    assert (feed.failures, feed.error, feed.next_at) == (0, None, clock.now + feeds.EVERY)


def test_a_web_page_in_place_of_a_feed_tells_where_its_feed_is(engine: Engine) -> None:
    page = b"<title>Gazette</title><link type='application/atom+xml' href='/atom.xml'>"

    with running_web_server(lambda _: Reply(page)) as server:
        feed_id = a_feed(engine, add_list(engine), server.url())
        fetch_due(engine, loopback_fetcher(), clock=Clock())

    assert feed_of(engine, feed_id).error == (
        f"This is a web page, not a feed. Its feed is {server.url('/atom.xml')}"
    )


def test_an_editor_has_feeds_read_before_their_time(engine: Engine) -> None:
    list_id = add_list(engine)

    with running_web_server(an_rss) as server:
        a_feed(engine, list_id, server.url())
        fetch_due(engine, loopback_fetcher(), clock=Clock())
        with transaction(engine) as session:
            read_now(session, list_id, now=MORNING)
        fetch_due(engine, loopback_fetcher(), clock=Clock())

    assert len(server.asked) == 2


def test_a_feed_is_added_to_a_list_once(engine: Engine) -> None:
    list_id = add_list(engine)
    a_feed(engine, list_id, "https://harbour.example/feed")

    with pytest.raises(InputError, match="already"):
        a_feed(engine, list_id, "https://harbour.example/feed")
    with pytest.raises(InputError, match="no web address"):
        a_feed(engine, list_id, "harbour.example")


def test_what_a_removed_feed_brought_stays(engine: Engine) -> None:
    with running_web_server(an_rss) as server:
        feed_id = a_feed(engine, add_list(engine), server.url())
        fetch_due(engine, loopback_fetcher(), clock=Clock())

    with transaction(engine) as session:
        remove_feed(session, feed_id)

    assert titles(engine) == ["Ferries & trams"]


def test_a_page_that_was_handed_in_is_looked_at(engine: Engine) -> None:
    list_id = add_list(engine)
    page = b"<title>The crane</title><meta property='og:site_name' content='Gazette'>"

    with running_web_server(lambda _: Reply(page)) as server:
        with transaction(engine) as session:
            hand_in(session, list_id, server.url("/crane"), by="Ada", now=MORNING)
        fetch_due(engine, loopback_fetcher(), clock=Clock())

    with reading(engine) as session:
        row = session.scalars(select(Candidate)).one()
    assert (row.title, row.source, row.state) == ("The crane", "Gazette", CandidateState.NEW)


def test_a_page_that_cannot_be_read_is_given_up_after_a_few_tries(engine: Engine) -> None:
    clock = Clock()
    list_id = add_list(engine)

    with running_web_server(lambda _: Reply(status=404)) as server:
        with transaction(engine) as session:
            hand_in(session, list_id, server.url(), by="Ada", now=MORNING)
        for _ in range(6):
            fetch_due(engine, loopback_fetcher(), clock=clock)
            clock.now += timedelta(hours=1)

    with reading(engine) as session:
        row = session.scalars(select(Candidate)).one()
    assert len(server.asked) == 4
    assert row.state is CandidateState.UNREADABLE
    assert row.error == "127.0.0.1 answers 404 Not Found."


def test_slow_feeds_are_read_side_by_side(engine: Engine) -> None:
    list_id = add_list(engine)
    all_there = threading.Barrier(feeds.AT_ONCE)

    def slow(asked: Asked) -> Reply:
        all_there.wait(timeout=8)
        return an_rss(asked)

    with running_web_server(slow) as server:
        ids = [a_feed(engine, list_id, server.url(f"/{n}")) for n in range(feeds.AT_ONCE)]
        fetch_due(engine, loopback_fetcher(), clock=Clock())

    assert [feed_of(engine, each).error for each in ids] == [None] * feeds.AT_ONCE


def test_a_worker_that_must_stop_starts_nothing(engine: Engine) -> None:
    stops: Callable[[], bool] = lambda: True  # noqa: E731

    with running_web_server(an_rss) as server:
        a_feed(engine, add_list(engine), server.url())
        fetch_due(engine, loopback_fetcher(), clock=Clock(), should_stop=stops)

    assert server.asked == []

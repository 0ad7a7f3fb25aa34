"""The feeds that lists draw stories from, and reading them when their time has come."""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from newsletter.compose import feed_format, page_facts
from newsletter.compose.candidates import due_pages, note_failure, note_page, take_in
from newsletter.compose.feed_format import FeedText, read_feed
from newsletter.compose.page_facts import PageFacts, read_page
from newsletter.compose.plain_words import line_of
from newsletter.db import locked, transaction
from newsletter.errors import FetchError, InputError, NotFoundError
from newsletter.fetch import Fetched, Fetcher, check_url
from newsletter.models import Feed
from newsletter.models.story_inbox import LONGEST_SOURCE, LONGEST_URL
from newsletter.queue import Job, enqueue_after_commit

logger = logging.getLogger(__name__)

EVERY = timedelta(minutes=15)
LONGEST_WAIT = timedelta(hours=12)
"""However often a feed has failed."""
READING = timedelta(minutes=2)
"""How long whoever reads a feed has it for themselves."""
MOST_FEEDS = 100
"""Of one list."""
AT_ONCE = 8
TURN_SECONDS = 45.0

_MOST_BYTES = 4 * 1024 * 1024
_LONGEST_ERROR = 500


def add_feed(session: Session, list_id: int, url: str, *, by: str, now: datetime) -> Feed:
    """It is read at once, by a worker. Raises `InputError`."""
    url = check_url(url)
    if len(url) > LONGEST_URL:
        raise InputError("The address has more than {longest} characters.", longest=LONGEST_URL)
    if _count(session, list_id) >= MOST_FEEDS:
        raise InputError(
            "A list has {most} feeds at most. Remove one that you do not need.", most=MOST_FEEDS
        )
    feed = Feed(list_id=list_id, url=url, next_at=now, created_at=now, created_by=by)
    try:
        with session.begin_nested():
            session.add(feed)
    except IntegrityError as error:
        raise InputError("The list has this feed already: {url}", url=url) from error
    enqueue_after_commit(session, Job.FETCH_FEEDS)
    return feed


def get_feed(session: Session, feed_id: int) -> Feed:
    """Raises `NotFoundError`."""
    feed = session.get(Feed, feed_id)
    if feed is None:
        raise NotFoundError("There is no feed {number}.", number=feed_id)
    return feed


def rename_feed(feed: Feed, name: str) -> None:
    """What its stories will name as their source. Raises `InputError`."""
    name = line_of(name, longest=LONGEST_SOURCE)
    if not name:
        raise InputError("Give the feed the name of its source, such as The Harbour Gazette.")
    feed.name = name


def remove_feed(session: Session, feed_id: int) -> Feed:
    """What it brought stays in the inbox. Raises `NotFoundError`."""
    feed = get_feed(session, feed_id)
    session.delete(feed)
    return feed


def feeds_of(session: Session, list_ids: Collection[int] | None = None) -> Sequence[Feed]:
    """None: of every list."""
    query = select(Feed).order_by(Feed.list_id, Feed.name, Feed.id)
    if list_ids is not None:
        query = query.where(Feed.list_id.in_(list_ids))
    return session.scalars(query).all()


def read_now(session: Session, list_id: int, *, now: datetime) -> None:
    """Have the list's feeds read before their time, those that failed too."""
    session.execute(
        update(Feed)
        .where(Feed.list_id == list_id, Feed.next_at > now)
        .values(next_at=now)
        .execution_options(synchronize_session=False)
    )
    enqueue_after_commit(session, Job.FETCH_FEEDS)


def fetch_due(
    engine: Engine,
    fetcher: Fetcher,
    *,
    clock: Callable[[], datetime],
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Read the feeds and pages whose time has come, a few at once, until none is left or the turn is
    over. Any number of processes may do it.
    """
    end = time.monotonic() + TURN_SECONDS
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="fetcher") as pool:
        while time.monotonic() < end and not should_stop():
            now = clock()
            with transaction(engine) as session:
                feeds = _due_feeds(session, now)
                pages = due_pages(session, now=now, most=AT_ONCE)
            if not feeds and not pages:
                return
            read = [pool.submit(_read_feed, fetcher, feed) for feed in feeds]
            looked = [pool.submit(_read_page, fetcher, url) for _, url in pages]
            for feed, feed_result in zip(feeds, read, strict=True):
                with transaction(engine) as session:
                    _note_feed(session, feed.id, feed_result.result(), now=clock())
            for (candidate_id, _), page_result in zip(pages, looked, strict=True):
                with transaction(engine) as session:
                    _note_page(session, candidate_id, page_result.result(), now=clock())


@dataclass(frozen=True, slots=True)
class _Read:
    """`text` is None where there is nothing new."""

    text: FeedText | None
    etag: str | None
    last_modified: str | None


def _due_feeds(session: Session, now: datetime) -> Sequence[Feed]:
    due = (
        select(Feed.id)
        .where(Feed.next_at <= now)
        .order_by(Feed.next_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(due).all()
    return session.scalars(
        update(Feed).where(Feed.id.in_(ids)).values(next_at=now + READING).returning(Feed)
    ).all()


def _read_feed(fetcher: Fetcher, feed: Feed) -> _Read | str:
    """What is wrong, in words, where it cannot be read."""
    headers = {"If-None-Match": feed.etag, "If-Modified-Since": feed.last_modified}
    asked = {name: value for name, value in headers.items() if value}
    kinds = (*feed_format.KINDS, *page_facts.KINDS)
    try:
        fetched = fetcher.get(feed.url, kinds=kinds, headers=asked, most_bytes=_MOST_BYTES)
        text = None if fetched.status != 200 else _feed_text(fetched)
    except (FetchError, InputError) as error:
        return str(error)
    return _Read(
        text,
        _kept(fetched.headers.get("etag"), 300),
        _kept(fetched.headers.get("last-modified"), 100),
    )


def _feed_text(fetched: Fetched) -> FeedText:
    content_type = fetched.headers.get("content-type", "")
    if fetched.kind not in page_facts.KINDS:
        return read_feed(fetched.body, url=fetched.url, content_type=content_type)
    facts = read_page(fetched.body, url=fetched.url, content_type=content_type)
    if facts.feeds:
        raise InputError("This is a web page, not a feed. Its feed is {feed}", feed=facts.feeds[0])
    raise InputError("This is a web page, not a feed.")


def _kept(value: str | None, longest: int) -> str | None:
    return value if value is not None and len(value) <= longest and value.isascii() else None


def _read_page(fetcher: Fetcher, url: str) -> PageFacts | str:
    try:
        fetched = fetcher.get(url, kinds=page_facts.KINDS)
        content_type = fetched.headers.get("content-type", "")
        return read_page(fetched.body, url=fetched.url, content_type=content_type)
    except (FetchError, InputError) as error:
        return str(error)


def _note_feed(session: Session, feed_id: int, read: _Read | str, *, now: datetime) -> None:
    feed = locked(session, Feed, feed_id)
    if feed is None:
        return  # somebody removed it meanwhile
    feed.checked_at = now
    if isinstance(read, str):
        feed.failures += 1
        feed.error = read[:_LONGEST_ERROR]
        feed.next_at = now + min(LONGEST_WAIT, EVERY * 2 ** min(feed.failures, 10))
        logger.info("feed not read", extra={"feed_id": feed.id, "failures": feed.failures})
        return
    feed.failures, feed.error, feed.read_at = 0, None, now
    feed.next_at = now + EVERY
    if read.text is None:
        return
    feed.etag, feed.last_modified = read.etag, read.last_modified
    feed.name = feed.name or read.text.name
    taken = take_in(session, feed, read.text.entries, now=now)
    logger.info("feed read", extra={"feed_id": feed.id, "new": taken})


def _note_page(
    session: Session, candidate_id: int, read: PageFacts | str, *, now: datetime
) -> None:
    if isinstance(read, str):
        note_failure(session, candidate_id, read, now=now)
    else:
        note_page(session, candidate_id, read, now=now)


def _count(session: Session, list_id: int) -> int:
    return session.scalar(select(func.count()).where(Feed.list_id == list_id)) or 0

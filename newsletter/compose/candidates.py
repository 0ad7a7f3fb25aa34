"""The inbox of stories: what feeds and editors found, each page once, and what became of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, func, or_, select, update
from sqlalchemy.orm import Session

from newsletter.compose.briefing import Span, Story, from_json
from newsletter.compose.feed_format import Entry
from newsletter.compose.likeness import Headlines, url_key
from newsletter.compose.page_facts import PageFacts, host_of
from newsletter.db import changed, insert_or_ignore, locked, transaction
from newsletter.errors import InputError, NotFoundError, StateError
from newsletter.fetch import check_url
from newsletter.models import (
    Candidate,
    CandidateState,
    Edition,
    EditionList,
    EditionState,
    Feed,
    MailingList,
    Revision,
    WorkingDraft,
)
from newsletter.models.story_inbox import LONGEST_SOURCE, LONGEST_URL
from newsletter.queue import Job, enqueue_after_commit

FRESH = timedelta(days=14)
"""What is older when a feed shows it is no news; and what no feed has shown for so long is forgotten."""
TOLD = timedelta(days=10)
"""How far back editions are looked through for stories that were told already."""
LIKE = timedelta(days=3)
"""How far apart two pages may come that tell the same story."""
RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30))
LOOKING = timedelta(minutes=2)
"""How long whoever looks at a page has it for themselves."""
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Told:
    """A story of an edition of the last days."""

    edition_id: int
    headline: str
    href: str | None


class ToldStories:
    """What a list's editions of the last days tell."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._told = told
        self._headlines = Headlines([each.headline for each in told])
        self._by_key = {url_key(each.href): each for each in told if each.href}

    def find(self, url: str, title: str) -> Told | None:
        if known := self._by_key.get(url_key(url)):
            return known
        place = self._headlines.find(title)
        return None if place is None else self._told[place]


def told_stories(
    session: Session, list_id: int, *, within: Collection[int] | None = None, now: datetime
) -> ToldStories:
    """As the drafts have it that are being written, else as the newest revision has it; of editions
    that go to no list but `within`, None for every list.
    """
    recent = (
        select(Edition.id, Edition.revision)
        .join(EditionList, EditionList.edition_id == Edition.id)
        .where(
            EditionList.list_id == list_id,
            Edition.created_at > now - TOLD,
            Edition.state != EditionState.CANCELLED,
            Edition.goes_only_to(within),
        )
    ).subquery()
    content = func.coalesce(WorkingDraft.briefing, Revision.briefing, type_=Revision.briefing.type)
    rows = session.execute(
        select(recent.c.id, content)
        .join_from(recent, WorkingDraft, WorkingDraft.edition_id == recent.c.id, isouter=True)
        .join(
            Revision,
            (Revision.edition_id == recent.c.id) & (Revision.number == recent.c.revision),
            isouter=True,
        )
        .order_by(recent.c.id)
    )
    return ToldStories(
        [
            Told(edition_id, story.headline, story.href)
            for edition_id, briefing in rows
            if briefing is not None
            for story in from_json(briefing).stories
        ]
    )


def take_in(session: Session, feed: Feed, entries: Sequence[Entry], *, now: datetime) -> int:
    """Keep what the feed shows and the list's inbox has not seen; returns how many that were."""
    # One after the other: two feeds may bring the same page at the same time.
    session.get_one(MailingList, feed.list_id, with_for_update={"key_share": True})
    entries_by_key = {url_key(entry.url): entry for entry in reversed(entries)}
    known = set(
        session.scalars(
            select(Candidate.url_key).where(
                Candidate.list_id == feed.list_id, Candidate.url_key.in_(entries_by_key)
            )
        )
    )
    _see_again(session, feed.list_id, known, now)
    fresh = {
        key: entry
        for key, entry in entries_by_key.items()
        if key not in known and not _is_old(entry, now)
    }
    if not fresh:
        return 0
    sorting = _Sorting(session, feed.list_id, now)
    for key, entry in fresh.items():
        row = Candidate(
            list_id=feed.list_id,
            feed_id=feed.id,
            url=entry.url,
            url_key=key,
            title=entry.title,
            summary=entry.summary,
            source=feed.name or host_of(entry.url),
            published_at=entry.published_at and min(entry.published_at, now),
            found_at=now,
            seen_at=now,
        )
        sorting.place(row)
        session.add(row)
        session.flush()
        sorting.remember(row)
    return len(fresh)


def hand_in(session: Session, list_id: int, url: str, *, by: str, now: datetime) -> Candidate:
    """Have a page looked at; one that the inbox has already comes back to its top.

    Raises `InputError`.
    """
    url = check_url(url)
    if len(url) > LONGEST_URL:
        raise InputError("The address has more than {longest} characters.", longest=LONGEST_URL)
    values = {
        "list_id": list_id,
        "url": url,
        "url_key": url_key(url),
        "state": CandidateState.WAITING,
        "title": "",
        "summary": "",
        "source": host_of(url)[:LONGEST_SOURCE],
        "found_at": now,
        "found_by": by,
        "seen_at": now,
        "next_at": now,
        "failures": 0,
    }
    made = session.scalar(insert_or_ignore(session, Candidate).returning(Candidate.id), values)
    if made is not None:
        enqueue_after_commit(session, Job.FETCH_FEEDS)
        return session.get_one(Candidate, made)
    row = session.scalars(
        select(Candidate).where(
            Candidate.list_id == list_id, Candidate.url_key == values["url_key"]
        )
    ).one()
    if row.state in (CandidateState.DISMISSED, CandidateState.UNREADABLE):
        bring_back(session, row, now=now)
    return row


def get_candidate(session: Session, candidate_id: int) -> Candidate:
    """Raises `NotFoundError`."""
    row = session.get(Candidate, candidate_id)
    if row is None:
        raise NotFoundError("This story is not in the inbox any more.")
    return row


def story_of(candidate: Candidate) -> Story:
    """Raises `StateError` while nobody knows its headline."""
    if not candidate.title:
        raise StateError("Nobody has read this page yet; wait until its headline is there.")
    return Story(
        headline=candidate.title,
        paragraphs=((Span(candidate.summary),),) if candidate.summary else (),
        source=candidate.source or None,
        href=candidate.url,
    )


def settle(
    session: Session,
    candidate: Candidate,
    state: CandidateState,
    *,
    by: str,
    now: datetime,
    edition_id: int | None = None,
) -> None:
    """Use or dismiss it, with all that tell the same; what tells it later shares its fate."""
    _of_story(
        session,
        candidate,
        state=state,
        edition_id=edition_id,
        settled_at=now,
        settled_by=by,
        next_at=None,
    )


def bring_back(session: Session, candidate: Candidate, *, now: datetime) -> None:
    """Into the inbox again, with all that tell the same; a page that nobody could read is tried anew."""
    if candidate.title:
        _of_story(
            session,
            candidate,
            state=CandidateState.NEW,
            edition_id=None,
            settled_at=None,
            settled_by=None,
        )
        return
    candidate.state, candidate.next_at = CandidateState.WAITING, now
    candidate.failures, candidate.error = 0, None
    candidate.settled_at = candidate.settled_by = None
    enqueue_after_commit(session, Job.FETCH_FEEDS)


def due_pages(session: Session, *, now: datetime, most: int) -> list[tuple[int, str]]:
    """Ids and addresses of pages to look at now, which nobody else looks at for two minutes."""
    due = (
        select(Candidate.id)
        .where(Candidate.next_at <= now)
        .order_by(Candidate.next_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    ids = session.scalars(due).all()
    rows = session.execute(
        update(Candidate)
        .where(Candidate.id.in_(ids))
        .values(next_at=now + LOOKING)
        .returning(Candidate.id, Candidate.url)
        .execution_options(synchronize_session=False)
    )
    return [(row.id, row.url) for row in rows]


def note_page(session: Session, candidate_id: int, facts: PageFacts, *, now: datetime) -> None:
    row = locked(session, Candidate, candidate_id)
    if row is None or row.state is not CandidateState.WAITING:
        return  # somebody settled it meanwhile
    sorting = _Sorting(session, row.list_id, now)  # while it has no headline to be found by
    row.title, row.summary, row.source = facts.title, facts.summary, facts.source
    row.published_at = facts.published_at and min(facts.published_at, now)
    row.next_at, row.error = None, None
    sorting.place(row)


def note_failure(session: Session, candidate_id: int, why: str, *, now: datetime) -> None:
    row = locked(session, Candidate, candidate_id)
    if row is None or row.state is not CandidateState.WAITING:
        return
    row.error = why[:_LONGEST_ERROR]
    row.failures += 1
    if row.failures > len(RETRIES):
        row.state, row.next_at = CandidateState.UNREADABLE, None
    else:
        row.next_at = now + RETRIES[row.failures - 1]


@dataclass(frozen=True, slots=True)
class Shown:
    """One story of the inbox: the first page that told it, and the others."""

    first: Candidate
    others: tuple[Candidate, ...]


def shown_candidates(
    session: Session,
    list_id: int,
    states: Collection[CandidateState],
    *,
    before: int | None = None,
    words: str = "",
    most: int,
) -> list[Shown]:
    """The newest first; `before` is the id of the last one on the page before this."""
    query = (
        select(Candidate)
        .where(
            Candidate.list_id == list_id,
            Candidate.state.in_(states),
            Candidate.same_as.is_(None),
        )
        .order_by(Candidate.id.desc())
        .limit(most)
    )
    if before is not None:
        query = query.where(Candidate.id < before)
    if words:
        query = query.where(
            or_(
                Candidate.title.icontains(words, autoescape=True),
                Candidate.source.icontains(words, autoescape=True),
            )
        )
    firsts = session.scalars(query).all()
    others = session.scalars(
        select(Candidate)
        .where(Candidate.same_as.in_([each.id for each in firsts]))
        .order_by(Candidate.id)
    ).all()
    return [Shown(first, tuple(_with(others, first.id))) for first in firsts]


def counts(session: Session, list_id: int) -> Mapping[CandidateState, int]:
    """How many stories of each state the list's inbox holds."""
    rows = session.execute(
        select(Candidate.state, func.count())
        .where(Candidate.list_id == list_id, Candidate.same_as.is_(None))
        .group_by(Candidate.state)
    )
    return {row[0]: row[1] for row in rows}


def forget_candidates(engine: Engine, *, now: datetime) -> int:
    """Delete what no feed has shown for two weeks; returns how many that were."""
    with transaction(engine) as session:
        return changed(session, delete(Candidate).where(Candidate.seen_at < now - FRESH))


class _Sorting:
    """Says of new pages whether an edition has told them, and which others tell the same."""

    def __init__(self, session: Session, list_id: int, now: datetime) -> None:
        self._told = told_stories(session, list_id, now=now)
        self._recent = list(
            session.scalars(
                select(Candidate).where(
                    Candidate.list_id == list_id,
                    Candidate.found_at > now - LIKE,
                    Candidate.same_as.is_(None),
                    Candidate.title != "",
                )
            )
        )
        self._headlines = Headlines([each.title for each in self._recent])

    def place(self, row: Candidate) -> None:
        place = self._headlines.find(row.title)
        first = None if place is None else self._recent[place]
        if first is not None:
            row.same_as, row.state, row.edition_id = first.id, first.state, first.edition_id
            return
        told = self._told.find(row.url, row.title)
        row.state = CandidateState.NEW if told is None else CandidateState.TOLD
        row.edition_id = None if told is None else told.edition_id

    def remember(self, row: Candidate) -> None:
        if row.same_as is None:
            self._recent.append(row)
            self._headlines.add(row.title)


def _is_old(entry: Entry, now: datetime) -> bool:
    return entry.published_at is not None and entry.published_at < now - FRESH


def _see_again(session: Session, list_id: int, keys: Collection[bytes], now: datetime) -> None:
    session.execute(
        update(Candidate)
        .where(Candidate.list_id == list_id, Candidate.url_key.in_(keys))
        .values(seen_at=now)
        .execution_options(synchronize_session=False)
    )


def _of_story(session: Session, candidate: Candidate, **values: object) -> None:
    first = candidate.same_as or candidate.id
    session.execute(
        update(Candidate)
        .where(or_(Candidate.id == first, Candidate.same_as == first))
        .values(**values)
        .execution_options(synchronize_session="fetch")
    )


def _with(others: Sequence[Candidate], first_id: int) -> Iterator[Candidate]:
    return (each for each in others if each.same_as == first_id)

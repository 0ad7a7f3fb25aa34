"""The inbox of stories: each story once, and what was dismissed does not come back."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from newsletter.compose import candidates
from newsletter.compose.briefing import Section, Span, Story
from newsletter.compose.candidates import (
    FRESH,
    bring_back,
    counts,
    forget_candidates,
    get_candidate,
    hand_in,
    settle,
    shown_candidates,
    story_of,
    take_in,
)
from newsletter.compose.feed_format import Entry
from newsletter.compose.page_facts import PageFacts
from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import Candidate, CandidateState, Feed, MailingList
from newsletter.plan.editions import content_of, create_edition
from tests.newsroom import MORNING, a_briefing, add_list, settings_for

FERRY = "Ferry line to the islands resumes on Monday after three weeks of storm damage"
FERRY_TOO = "Ferry line to islands resumes Monday after storm damage"
TRAM = "City council votes for a new tram line"


@pytest.fixture(autouse=True)
def silent_bells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("newsletter.queue.ring", lambda *_: None)


def an_entry(title: str, url: str = "", *, hours: int = 1) -> Entry:
    address = url or f"https://gazette.example/{title.replace(' ', '-').lower()}"
    return Entry(address, title, f"About: {title}.", MORNING - timedelta(hours=hours))


def a_feed(engine: Engine, list_id: int, name: str = "Gazette") -> int:
    with transaction(engine) as session:
        feed = Feed(
            list_id=list_id,
            url=f"https://{name.lower()}.example/feed",
            name=name,
            next_at=MORNING,
            created_at=MORNING,
            created_by="Ada",
        )
        session.add(feed)
        session.flush()
        return feed.id


def bring(engine: Engine, feed_id: int, entries: Sequence[Entry], *, days: float = 0) -> int:
    with transaction(engine) as session:
        feed = session.get_one(Feed, feed_id)
        return take_in(session, feed, entries, now=MORNING + timedelta(days=days))


def rows(engine: Engine) -> list[Candidate]:
    with reading(engine) as session:
        return list(session.scalars(select(Candidate).order_by(Candidate.id)))


def dismiss(engine: Engine, candidate_id: int) -> None:
    with transaction(engine) as session:
        row = get_candidate(session, candidate_id)
        settle(session, row, CandidateState.DISMISSED, by="Ada", now=MORNING)


def test_a_page_comes_in_once_however_often_a_feed_shows_it(engine: Engine) -> None:
    feed_id = a_feed(engine, add_list(engine))

    brought = [bring(engine, feed_id, [an_entry(FERRY), an_entry(TRAM)]) for _ in range(3)]

    assert brought == [2, 0, 0]
    assert [row.state for row in rows(engine)] == [CandidateState.NEW] * 2


def test_two_papers_with_the_same_story_are_shown_as_one(engine: Engine) -> None:
    list_id = add_list(engine)
    bring(engine, a_feed(engine, list_id), [an_entry(FERRY)])
    bring(engine, a_feed(engine, list_id, "Reuters"), [an_entry(FERRY_TOO), an_entry(TRAM)])

    with reading(engine) as session:
        shown = shown_candidates(session, list_id, [CandidateState.NEW], most=10)
        many = counts(session, list_id)

    assert [each.first.title for each in shown] == [TRAM, FERRY]
    assert [[other.source for other in each.others] for each in shown] == [[], ["Reuters"]]
    assert many == {CandidateState.NEW: 2}


def test_what_was_dismissed_stays_dismissed_even_in_other_words(engine: Engine) -> None:
    list_id = add_list(engine)
    feed_id = a_feed(engine, list_id)
    bring(engine, feed_id, [an_entry(FERRY)])
    dismiss(engine, rows(engine)[0].id)

    bring(engine, feed_id, [an_entry(FERRY), an_entry(FERRY_TOO)], days=1)

    assert {row.state for row in rows(engine)} == {CandidateState.DISMISSED}


def test_dismissing_one_dismisses_all_that_tell_the_same(engine: Engine) -> None:
    feed_id = a_feed(engine, add_list(engine))
    bring(engine, feed_id, [an_entry(FERRY), an_entry(FERRY_TOO), an_entry(TRAM)])
    second = next(row for row in rows(engine) if row.same_as)

    dismiss(engine, second.id)

    states = {row.title: row.state for row in rows(engine)}
    assert states[FERRY] is states[FERRY_TOO] is CandidateState.DISMISSED
    assert states[TRAM] is CandidateState.NEW


def test_what_was_dismissed_can_be_brought_back(engine: Engine) -> None:
    bring(engine, a_feed(engine, add_list(engine)), [an_entry(FERRY)])
    dismiss(engine, rows(engine)[0].id)

    with transaction(engine) as session:
        bring_back(session, get_candidate(session, rows(engine)[0].id), now=MORNING)

    row = rows(engine)[0]
    assert (row.state, row.settled_by) == (CandidateState.NEW, None)


@pytest.mark.parametrize("by_address", [True, False])
def test_what_an_edition_of_the_last_days_tells_is_no_news(
    engine: Engine, tmp_path: Path, by_address: bool
) -> None:
    list_id = add_list(engine)
    told = Story(
        headline="Boats sail again" if by_address else FERRY_TOO,
        paragraphs=((Span("Text."),),),
        href="http://www.gazette.example/ferry/" if by_address else None,
    )
    briefing = a_briefing()
    with transaction(engine) as session:
        edition = create_edition(
            session,
            content_of(
                type(briefing)(title="T", sections=(Section("Port", (told,)),)),
                "",
            ),
            lists=[session.get_one(MailingList, list_id)],
            settings=settings_for(tmp_path),
            created_by="Ada",
            now=MORNING - timedelta(days=2),
        )

    bring(engine, a_feed(engine, list_id), [an_entry(FERRY, "https://gazette.example/ferry")])
    bring(engine, a_feed(engine, add_list(engine, "other"), "Other"), [an_entry(FERRY)])

    here, elsewhere = rows(engine)
    assert (here.state, here.edition_id) == (CandidateState.TOLD, edition.id)
    assert elsewhere.state is CandidateState.NEW


def test_old_news_does_not_come_in(engine: Engine) -> None:
    feed_id = a_feed(engine, add_list(engine))

    bring(engine, feed_id, [an_entry(FERRY, hours=24 * 15), an_entry(TRAM)])

    assert [row.title for row in rows(engine)] == [TRAM]


def test_what_no_feed_shows_any_more_is_forgotten_and_the_rest_is_not(engine: Engine) -> None:
    feed_id = a_feed(engine, add_list(engine))
    bring(engine, feed_id, [an_entry(FERRY), an_entry(TRAM)])
    dismiss(engine, next(row.id for row in rows(engine) if row.title == FERRY))
    bring(engine, feed_id, [an_entry(FERRY)], days=10)

    forgotten = forget_candidates(engine, now=MORNING + FRESH + timedelta(hours=1))

    assert forgotten == 1
    assert [(row.title, row.state) for row in rows(engine)] == [(FERRY, CandidateState.DISMISSED)]


def test_a_page_of_the_inbox_begins_behind_the_last(engine: Engine) -> None:
    list_id = add_list(engine)
    numbered = ["Alpha beta", "Gamma delta", "Epsilon zeta", "Eta theta", "Iota kappa"]
    bring(engine, a_feed(engine, list_id), [an_entry(each) for each in numbered])

    with reading(engine) as session:
        first = shown_candidates(session, list_id, [CandidateState.NEW], most=2)
        second = shown_candidates(
            session, list_id, [CandidateState.NEW], before=first[-1].first.id, most=9
        )
        found = shown_candidates(session, list_id, [CandidateState.NEW], words="GAMMA", most=9)

    titles = [each.first.title for each in [*first, *second]]
    assert sorted(titles) == sorted(numbered)
    assert [each.first.title for each in found] == ["Gamma delta"]


def test_a_candidate_becomes_a_story_with_its_source_and_its_address(engine: Engine) -> None:
    bring(engine, a_feed(engine, add_list(engine)), [an_entry(FERRY, "https://gazette.example/f")])

    story = story_of(rows(engine)[0])

    assert story == Story(
        headline=FERRY,
        paragraphs=((Span(f"About: {FERRY}."),),),
        source="Gazette",
        href="https://gazette.example/f",
    )


def test_a_page_that_nobody_has_read_yet_is_no_story(engine: Engine) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        row = hand_in(session, list_id, "https://a.example/x", by="Ada", now=MORNING)

        with pytest.raises(StateError, match="read this page"):
            story_of(row)


def test_a_page_that_is_in_the_inbox_already_is_not_there_twice(engine: Engine) -> None:
    list_id = add_list(engine)
    bring(engine, a_feed(engine, list_id), [an_entry(FERRY, "https://a.example/x")])
    dismiss(engine, rows(engine)[0].id)

    with transaction(engine) as session:
        row = hand_in(session, list_id, "http://a.example/x?utm_source=me", by="Ada", now=MORNING)
        state = row.state

    assert (len(rows(engine)), state) == (1, CandidateState.NEW)


@pytest.mark.parametrize("url", ["", "a.example", "file:///etc/passwd", "http://u:p@a.example/"])
def test_what_is_no_address_is_not_handed_in(engine: Engine, url: str) -> None:
    list_id = add_list(engine)

    with transaction(engine) as session, pytest.raises(InputError):
        hand_in(session, list_id, url, by="Ada", now=MORNING)


def test_a_page_that_tells_what_another_told_joins_it(engine: Engine) -> None:
    list_id = add_list(engine)
    bring(engine, a_feed(engine, list_id), [an_entry(FERRY)])
    with transaction(engine) as session:
        row = hand_in(session, list_id, "https://a.example/x", by="Ada", now=MORNING)
        facts = PageFacts(FERRY_TOO, "", "A", MORNING, ())
        candidates.note_page(session, row.id, facts, now=MORNING)

    first, second = rows(engine)
    assert (second.same_as, second.state) == (first.id, CandidateState.NEW)


def test_what_an_editor_settled_meanwhile_is_left_alone(engine: Engine) -> None:
    list_id = add_list(engine)
    with transaction(engine) as session:
        row = hand_in(session, list_id, "https://a.example/x", by="Ada", now=MORNING)
    dismiss(engine, row.id)

    with transaction(engine) as session:
        candidates.note_page(session, row.id, PageFacts("T", "", "A", None, ()), now=MORNING)
        candidates.note_failure(session, row.id, "too slow", now=MORNING)

    assert rows(engine)[0].state is CandidateState.DISMISSED

"""What readers did for the first time, as the figures count it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from newsletter.models import DeliveryState, Engagement, Link
from newsletter.tokens import NOBODY
from newsletter.track.events import NO_LINK
from newsletter.track.figures import (
    Gain,
    HourGain,
    HourKey,
    add_to_edition_figures,
    add_to_hour_figures,
    add_to_link_figures,
    add_to_story_figures,
    hour_since,
)


@dataclass(frozen=True, slots=True)
class Mailed:
    """A delivery that events may name; `sent_at` is the edition's start where it is not known."""

    state: DeliveryState
    list_id: int
    sent_at: datetime | None


Readers = Mapping[tuple[int, int], Mailed]
"""By edition and subscriber."""


@dataclass(frozen=True, slots=True)
class First:
    """The first time that this reader did this; of nobody in particular, any time."""

    edition_id: int
    subscriber_id: int
    link: int
    """`NO_LINK` is the open."""
    at: datetime


def count_firsts(session: Session, firsts: Sequence[First], readers: Readers) -> None:
    editions = defaultdict[int, Gain](Gain)
    hours = defaultdict[HourKey, HourGain](HourGain)
    links = Counter[tuple[int, int]]()
    for first in firsts:
        gain, hour = editions[first.edition_id], hours[_hour_of(first, readers)]
        if first.link == NO_LINK:
            gain.opens += 1
            hour.opens += 1
        else:
            gain.clicks += 1
            hour.clicks += 1
            links[first.edition_id, first.link] += 1
    clickers, stories = _clickers(session, [each for each in firsts if each.link != NO_LINK])
    for edition_id, more in clickers.items():
        editions[edition_id].clickers += more
    add_to_edition_figures(session, editions)
    add_to_link_figures(session, links)
    add_to_story_figures(session, stories)
    add_to_hour_figures(session, hours)


def _hour_of(first: First, readers: Readers) -> HourKey:
    mailed = readers[first.edition_id, first.subscriber_id]
    hour = hour_since(mailed.sent_at or first.at, first.at)
    return first.edition_id, mailed.list_id, hour


def _clickers(
    session: Session, clicks: Iterable[First]
) -> tuple[Counter[int], Counter[tuple[int, int]]]:
    """How many readers more followed any link of each edition, and of each story."""
    fresh = defaultdict[int, list[First]](list)
    for click in clicks:
        fresh[click.edition_id].append(click)
    clickers, stories = Counter[int](), Counter[tuple[int, int]]()
    for edition_id, here in fresh.items():
        story_of = _stories(session, edition_id)
        before = _followed(session, edition_id, here)
        new_readers, new_pairs = set[int](), set[tuple[int, int]]()
        for click in here:
            person, story = click.subscriber_id, story_of.get(click.link)
            if person == NOBODY:
                clickers[edition_id] += 1
                stories.update([(edition_id, story)] if story is not None else [])
                continue
            earlier = before[person]
            if not earlier:
                new_readers.add(person)
            if story is not None and story not in {story_of.get(link) for link in earlier}:
                new_pairs.add((person, story))
        clickers[edition_id] += len(new_readers)
        stories.update((edition_id, story) for _, story in new_pairs)
    return clickers, stories


def _stories(session: Session, edition_id: int) -> dict[int, int]:
    rows = session.execute(
        select(Link.number, Link.story).where(
            Link.edition_id == edition_id, Link.story.is_not(None)
        )
    )
    return {number: story for number, story in rows if story is not None}


def _followed(session: Session, edition_id: int, fresh: Sequence[First]) -> dict[int, set[int]]:
    """By reader, the links of the edition that they had followed before."""
    found = defaultdict[int, set[int]](set)
    people = sorted({each.subscriber_id for each in fresh} - {NOBODY})
    rows = session.execute(
        select(Engagement.subscriber_id, Engagement.link).where(
            Engagement.edition_id == edition_id,
            Engagement.subscriber_id.in_(people),
            Engagement.link != NO_LINK,
        )
    )
    for subscriber_id, link in rows:
        found[subscriber_id].add(link)
    for each in fresh:
        found[each.subscriber_id].discard(each.link)
    return found

"""What readers did with an edition: by story, by link, and by the time since their mail came.

Read from the figures alone, which whoever writes an event adds to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from newsletter.models import (
    HOURS,
    Edition,
    EditionList,
    HourFigures,
    Link,
    LinkFigures,
    MailingList,
    Revision,
    StoryFigures,
    Tracking,
)
from newsletter.plan.anchors import stories_of
from newsletter.plan.editions import briefing_of

DAY_HOURS = 24


@dataclass(frozen=True, slots=True)
class LinkCount:
    number: int
    url: str
    story: int | None
    """The story's number; None: it stands outside of the stories."""
    clicks: int
    """Readers who followed it."""


@dataclass(frozen=True, slots=True)
class StoryCount:
    number: int
    section: str
    headline: str
    """As it was in the revision that was approved last; empty for one that is no longer in it."""
    clickers: int
    """Readers who followed at least one of its links."""
    clicks: int
    """Pairs of reader and link."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What readers did between `since` and `until` after their mail was sent; until None: ever since."""

    since: timedelta
    until: timedelta | None
    opens: int
    clicks: int
    unsubscribes: int


@dataclass(frozen=True, slots=True)
class ListCount:
    mailing_list: MailingList
    opens: int
    clicks: int
    unsubscribes: int


def link_counts(session: Session, edition_id: int) -> list[LinkCount]:
    """Every link of the edition, the most followed first."""
    clicks = func.coalesce(LinkFigures.clicks, 0)
    rows = session.execute(
        select(Link.number, Link.url, Link.story, clicks)
        .outerjoin(
            LinkFigures,
            (LinkFigures.edition_id == Link.edition_id) & (LinkFigures.number == Link.number),
        )
        .where(Link.edition_id == edition_id)
        .order_by(clicks.desc(), Link.number)
    )
    return [LinkCount(*row) for row in rows]


def story_counts(
    session: Session, edition: Edition, links: Sequence[LinkCount]
) -> list[StoryCount]:
    """In the order of the edition; a story whose links nobody followed has its noughts."""
    clickers = dict(
        session.execute(
            select(StoryFigures.story, StoryFigures.clickers).where(
                StoryFigures.edition_id == edition.id
            )
        ).all()
    )
    named = dict(_stories(session, edition))
    gone = {link.story for link in links if link.story is not None} - named.keys()
    return [
        _story_count(number, named.get(number, ("", "")), clickers.get(number, 0), links)
        for number in (*named, *sorted(gone))
    ]


def reactions(session: Session, edition_id: int) -> list[Reaction]:
    """Hour by hour on the first day, day by day in the first week, and what came later."""
    by_hour = _by_hour(session, edition_id)
    hours = [_reaction(by_hour, range(hour, hour + 1), hour + 1) for hour in range(DAY_HOURS)]
    days = [
        _reaction(by_hour, range(start, start + DAY_HOURS), start + DAY_HOURS)
        for start in range(DAY_HOURS, HOURS, DAY_HOURS)
    ]
    return [*hours, *days, _reaction(by_hour, range(HOURS, HOURS + 1), None)]


def list_counts(session: Session, edition_id: int) -> list[ListCount]:
    """By the list that brought the reader, in the edition's order."""
    rows = session.execute(
        select(
            MailingList,
            func.coalesce(func.sum(HourFigures.opens), 0),
            func.coalesce(func.sum(HourFigures.clicks), 0),
            func.coalesce(func.sum(HourFigures.unsubscribes), 0),
        )
        .join(EditionList, EditionList.list_id == MailingList.id)
        .outerjoin(
            HourFigures,
            (HourFigures.edition_id == EditionList.edition_id)
            & (HourFigures.list_id == EditionList.list_id),
        )
        .where(EditionList.edition_id == edition_id)
        .group_by(MailingList.id, EditionList.position)
        .order_by(EditionList.position)
    )
    return [
        ListCount(mailing_list, opens, clicks, unsubscribes)
        for mailing_list, opens, clicks, unsubscribes in rows
    ]


def least_tracking(lists: Sequence[MailingList]) -> Tracking:
    """The most private way of counting among them: what the figures of all can claim."""
    order = [Tracking.OFF, Tracking.ANONYMOUS, Tracking.FULL]
    return min((each.tracking for each in lists), key=order.index, default=Tracking.FULL)


def _stories(session: Session, edition: Edition) -> Iterator[tuple[int, tuple[str, str]]]:
    """Section and headline of each in their order, by the number that its links have for it."""
    number = edition.approved_revision or edition.revision
    revision = session.get(Revision, (edition.id, number))
    if revision is None:
        return
    numbers = iter(each.anchor.number for each in stories_of(revision))
    for section in briefing_of(revision).sections:
        for story in section.stories:
            yield next(numbers), (section.name or "", story.headline)


def _story_count(
    number: int, named: tuple[str, str], clickers: int, links: Sequence[LinkCount]
) -> StoryCount:
    section, headline = named
    clicks = sum(link.clicks for link in links if link.story == number)
    return StoryCount(number, section, headline, clickers, clicks)


def _by_hour(session: Session, edition_id: int) -> Mapping[int, tuple[int, int, int]]:
    rows = session.execute(
        select(
            HourFigures.hour,
            func.sum(HourFigures.opens),
            func.sum(HourFigures.clicks),
            func.sum(HourFigures.unsubscribes),
        )
        .where(HourFigures.edition_id == edition_id)
        .group_by(HourFigures.hour)
    )
    return {hour: (opens, clicks, left) for hour, opens, clicks, left in rows}


def _reaction(
    by_hour: Mapping[int, tuple[int, int, int]], hours: range, until: int | None
) -> Reaction:
    counts = [by_hour.get(hour, (0, 0, 0)) for hour in hours]
    opens, clicks, unsubscribes = (sum(column) for column in zip(*counts, strict=True))
    return Reaction(
        since=timedelta(hours=hours.start),
        until=None if until is None else timedelta(hours=until),
        opens=opens,
        clicks=clicks,
        unsubscribes=unsubscribes,
    )

"""What became of one edition: whom it reached, and what they did with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session
from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.errors import NotFoundError
from newsletter.models import Edition
from newsletter.plan.stored import lists_of
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.report.figures import (
    DAY_HOURS,
    Reaction,
    least_tracking,
    link_counts,
    list_counts,
    reactions,
    story_counts,
)
from newsletter.report.sheets import Cell, as_csv
from newsletter.report.titles import titles_of
from newsletter.web.newsroom.charts import Chart, Series, bar_chart, line_chart
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

MOST_LINKS = 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of the report, to take along."""

    titles: tuple[str, ...]
    rows: Callable[[Session, Edition], Sequence[Sequence[Cell]]]


def report(visit: Visit) -> Response:
    edition = visit.edition(Role.VIEWER)
    status = edition_status(visit.session, edition.id)
    links = link_counts(visit.session, edition.id)
    since_delivery = reactions(visit.session, edition.id)
    followed = [link for link in links if link.clicks][:MOST_LINKS]
    lists = lists_of(visit.session, edition.id)
    return visit.page(
        "reports/edition.html",
        edition=edition,
        title=titles_of(visit.session, [edition.id])[edition.id],
        lists=lists,
        tracking=least_tracking(lists),
        figures=status,
        sum=sum_of(status),
        excluded=sum(status.excluded.values()),
        links=followed,
        other_links=len(links) - len(followed),
        own_page=f"{visit.settings.base_url}/e/",
        stories=story_counts(visit.session, edition, links),
        by_list=list_counts(visit.session, edition.id) if len(lists) > 1 else [],
        reactions=since_delivery,
        first_day=_first_day(since_delivery),
        leaving=_leaving(since_delivery),
    )


def sheet(visit: Visit) -> Response:
    edition = visit.edition(Role.VIEWER)
    found = SHEETS.get(visit.path["sheet"])
    if found is None:
        raise NotFoundError(NOT_HERE)
    return csv_file(
        as_csv(found.titles, found.rows(visit.session, edition)),
        f"edition-{edition.id}-{visit.path['sheet']}",
    )


def csv_file(content: bytes, name: str) -> Response:
    disposition = f'attachment; filename="{name}.csv"'
    return Response(
        content, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition}
    )


def span_name(reaction: Reaction) -> str:
    """`hour 1`, `day 2`, `later`."""
    if reaction.until is None:
        return "later"
    hours = reaction.until.total_seconds() // 3600
    return f"hour {hours:.0f}" if hours <= DAY_HOURS else f"day {hours / DAY_HOURS:.0f}"


def _first_day(found: Sequence[Reaction]) -> Chart:
    hours = found[:DAY_HOURS]
    return line_chart(
        [span_name(each) for each in hours],
        [
            Series(Words("opens"), "first", [each.opens for each in hours]),
            Series(Words("clicks"), "second", [each.clicks for each in hours]),
        ],
    )


def _leaving(found: Sequence[Reaction]) -> Chart:
    return bar_chart(
        [span_name(each) for each in found],
        [Series(Words("unsubscribes"), "fourth", [each.unsubscribes for each in found])],
    )


def sum_of(status: EditionStatus) -> list[tuple[str, int]]:
    """What the planned people are the sum of, in the order in which it is read."""
    return [
        ("sent", status.sent),
        *((f"excluded: {reason}", people) for reason, people in status.excluded.items()),
        ("failed", status.failed),
        ("uncertain", status.uncertain),
        ("cancelled", status.cancelled),
        ("deferred", status.deferred),
        ("waiting", status.waiting),
    ]


def _sum_rows(session: Session, edition: Edition) -> list[tuple[str, int]]:
    status = edition_status(session, edition.id)
    return [
        *sum_of(status),
        ("planned", status.planned),
        ("opens", status.opens),
        ("readers who clicked", status.clickers),
        ("clicks", status.clicks),
        ("unsubscribes", status.unsubscribes),
    ]


def _story_rows(session: Session, edition: Edition) -> list[tuple[Cell, ...]]:
    stories = story_counts(session, edition, link_counts(session, edition.id))
    return [
        (each.number, each.section, each.headline, each.clickers, each.clicks) for each in stories
    ]


SHEETS: Mapping[str, Sheet] = {
    "sum": Sheet(("what", "people"), _sum_rows),
    "stories": Sheet(("story", "section", "headline", "readers", "clicks"), _story_rows),
    "links": Sheet(
        ("link", "story", "url", "readers"),
        lambda session, edition: [
            (each.number, each.story, each.url, each.clicks)
            for each in link_counts(session, edition.id)
        ],
    ),
    "time": Sheet(
        ("since delivery", "opens", "clicks", "unsubscribes"),
        lambda session, edition: [
            (span_name(each), each.opens, each.clicks, each.unsubscribes)
            for each in reactions(session, edition.id)
        ],
    ),
    "lists": Sheet(
        ("list", "opens", "clicks", "unsubscribes"),
        lambda session, edition: [
            (each.mailing_list.slug, each.opens, each.clicks, each.unsubscribes)
            for each in list_counts(session, edition.id)
        ],
    ),
}

SCREENS = (
    Screen("/newsroom/editions/{id}/report", get=report, role=Role.VIEWER),
    Screen("/newsroom/editions/{id}/report/{sheet}.csv", get=sheet, role=Role.VIEWER),
)

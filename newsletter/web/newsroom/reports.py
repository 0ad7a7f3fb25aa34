"""How each list grows and what its editions came to."""

from collections.abc import Sequence

from starlette.responses import Response

from newsletter.accounts.roles import Role
from newsletter.errors import NotFoundError
from newsletter.report.lists import (
    DayCount,
    EditionLine,
    by_weeks,
    edition_lines,
    growth_of,
    list_lines,
)
from newsletter.report.sheets import Cell, as_csv
from newsletter.web.newsroom.charts import Chart, Series, bar_chart, line_chart, sparkline
from newsletter.web.newsroom.list_form import list_of
from newsletter.web.newsroom.report import csv_file
from newsletter.web.newsroom.screens import Screen
from newsletter.web.newsroom.visit import NOT_HERE, Visit
from newsletter.words import Words

MONTH, QUARTER, YEAR = 30, 91, 365
SPANS = (MONTH, QUARTER, YEAR)
MOST_ROWS = 5_000

DAY_TITLES = ("day", "signed up", "imported", "left", "removed", "subscribers")
EDITION_TITLES = (
    *("edition", "subject", "begun", "state", "planned", "sent", "excluded", "failed"),
    *("uncertain", "cancelled", "deferred", "waiting"),
    *("opens", "readers who clicked", "clicks", "unsubscribes"),
)


def index(visit: Visit) -> Response:
    lists = visit.lists_in_use(Role.VIEWER)
    within = visit.identity.list_ids
    lines = list_lines(visit.session, lists, within=within, days=MONTH, now=visit.now)
    return visit.page(
        "reports/index.html",
        lines=[(line, sparkline([day.size for day in line.growth.days])) for line in lines],
    )


def of_list(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.VIEWER)
    days = _days(visit)
    growth = growth_of(visit.session, [mailing_list], days=days, now=visit.now)[mailing_list.id]
    rows = growth.days if days <= QUARTER else by_weeks(growth.days)
    within, before = visit.identity.list_ids, visit.query_number("before")
    page = edition_lines(visit.session, mailing_list.id, within=within, before=before)
    return visit.page(
        "reports/list.html",
        list=mailing_list,
        growth=growth,
        days=days,
        spans=SPANS,
        rows=rows,
        is_by_week=len(rows) < days,
        size=_size(rows),
        moves=_moves(rows),
        editions=page.lines,
        older=page.older,
        is_newest=before is None,
        rates=_rates(page.lines),
    )


def sheet(visit: Visit) -> Response:
    mailing_list = list_of(visit, Role.VIEWER)
    name = f"{mailing_list.slug}-{visit.path['sheet']}"
    match visit.path["sheet"]:
        case "days":
            growth = growth_of(visit.session, [mailing_list], days=_days(visit), now=visit.now)
            return csv_file(as_csv(DAY_TITLES, _day_rows(growth[mailing_list.id].days)), name)
        case "editions":
            within = visit.identity.list_ids
            page = edition_lines(visit.session, mailing_list.id, within=within, most=MOST_ROWS)
            return csv_file(as_csv(EDITION_TITLES, _edition_rows(page.lines)), name)
        case _:
            raise NotFoundError(NOT_HERE)


def _days(visit: Visit) -> int:
    days = visit.query_number("days")
    return days if days in SPANS else QUARTER


def _size(rows: Sequence[DayCount]) -> Chart:
    return line_chart(
        [_short(row) for row in rows],
        [Series(Words("subscribers"), "first", [row.size for row in rows])],
        from_nought=False,
    )


def _moves(rows: Sequence[DayCount]) -> Chart:
    return bar_chart(
        [_short(row) for row in rows],
        [
            Series(Words("signed up"), "first", [row.joined for row in rows]),
            Series(Words("imported"), "third", [row.imported for row in rows]),
        ],
        [
            Series(Words("left"), "fourth", [row.left for row in rows]),
            Series(Words("removed"), "second", [row.removed for row in rows]),
        ],
    )


def _rates(lines: Sequence[EditionLine]) -> Chart:
    """Of the editions on the page, the oldest first: of a hundred readers, who opened and clicked."""
    oldest_first = [line for line in reversed(lines) if line.status.sent]
    return line_chart(
        [f"{line.started_at:%d %b}" for line in oldest_first],
        [
            Series(
                Words("opened"),
                "first",
                [_percent(each.status.opens, each) for each in oldest_first],
            ),
            Series(
                Words("clicked"),
                "second",
                [_percent(each.status.clickers, each) for each in oldest_first],
            ),
        ],
    )


def _percent(part: int, line: EditionLine) -> int:
    return round(100 * part / line.status.sent)


def _short(row: DayCount) -> str:
    return f"{row.day.day} {row.day:%b}"


def _day_rows(days: Sequence[DayCount]) -> list[tuple[Cell, ...]]:
    return [
        (day.day.isoformat(), day.joined, day.imported, day.left, day.removed, day.size)
        for day in days
    ]


def _edition_rows(lines: Sequence[EditionLine]) -> list[tuple[Cell, ...]]:
    return [
        (
            line.status.edition_id,
            line.title,
            line.started_at.isoformat(),
            line.status.state.value,
            line.status.planned,
            line.status.sent,
            sum(line.status.excluded.values()),
            line.status.failed,
            line.status.uncertain,
            line.status.cancelled,
            line.status.deferred,
            line.status.waiting,
            line.status.opens,
            line.status.clickers,
            line.status.clicks,
            line.status.unsubscribes,
        )
        for line in lines
    ]


SCREENS = (
    Screen("/newsroom/reports", get=index, role=Role.VIEWER),
    Screen("/newsroom/reports/{slug}", get=of_list, role=Role.VIEWER),
    Screen("/newsroom/reports/{slug}/{sheet}.csv", get=sheet, role=Role.VIEWER),
)

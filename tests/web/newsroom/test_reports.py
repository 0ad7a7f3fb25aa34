"""Reports: sums that hold, a table beside each picture, and the same numbers as CSV."""

import csv
import io
import re
import shutil
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from httpx2 import Response
from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session

from newsletter.db import transaction
from newsletter.models import (
    EditionList,
    Engagement,
    LinkFigures,
    MailingList,
    Role,
    StoryFigures,
    Tracking,
)
from newsletter.report.editions import edition_status
from tests.site import Member, Site, text_of
from tests.web.newsroom.seeded import NEWEST, make_template

REPORT = f"/newsroom/editions/{NEWEST}/report"
_SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


@pytest.fixture(scope="module")
def template(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(sqlite_template, tmp_path_factory.mktemp("seeded"))


@pytest.fixture
def database_url(template: Path, tmp_path: Path) -> str:
    return f"sqlite:///{shutil.copy(template, tmp_path / 'newsletter.db')}"


@pytest.fixture
def viewer(site: Site) -> Member:
    return site.member(Role.VIEWER)


def sheet(answer: Response) -> list[list[str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith("\ufeff".encode())
    return list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))


def list_of(engine: Engine, edition_id: int) -> MailingList:
    with Session(engine) as session:
        found = session.scalars(
            select(MailingList)
            .join(EditionList, EditionList.list_id == MailingList.id)
            .where(EditionList.edition_id == edition_id)
        )
        return found.one()


def test_planned_is_shown_as_the_sum_of_what_became_of_everybody(
    site: Site, viewer: Member
) -> None:
    with Session(site.engine) as session:
        status = edition_status(session, NEWEST)

    page = viewer.get(REPORT)

    total, parts = re.findall(r"([\d,]+) = ([\d,+ ]+)", text_of(page))[0]
    numbers = [int(each.replace(",", "")) for each in parts.split(" + ")]
    assert int(total.replace(",", "")) == status.planned == sum(numbers)
    assert "unsubscribed" in text_of(page)


def test_each_picture_has_a_name_words_and_a_table_beside_it(viewer: Member) -> None:
    list_url = "/newsroom/reports/morning"

    for page in (viewer.get(REPORT), viewer.get(list_url), viewer.get(list_url + "?days=365")):
        pictures = [ElementTree.fromstring(each) for each in _SVG.findall(page.text)]
        charts = [each for each in pictures if each.get("role") == "img"]
        assert len(charts) >= 2
        for chart in charts:
            assert chart.findtext("title")
            assert chart.findtext("desc")
        assert page.text.count("<table") >= 2
        assert 'style="' not in page.text


def test_stories_are_named_and_counted_by_reader(site: Site, viewer: Member) -> None:
    with Session(site.engine) as session:
        stored = dict(
            session.execute(
                select(StoryFigures.story, StoryFigures.clickers).where(
                    StoryFigures.edition_id == NEWEST
                )
            ).all()
        )

    rows = sheet(viewer.get(f"{REPORT}/stories.csv"))

    assert rows[0] == ["story", "section", "headline", "readers", "clicks"]
    assert {int(row[0]): int(row[3]) for row in rows[1:] if int(row[3])} == stored
    assert all(row[1] in ("Port", "Town", "World") and row[2] for row in rows[1:])


def test_links_that_nobody_followed_are_in_the_file(site: Site, viewer: Member) -> None:
    with transaction(site.engine) as session:
        session.execute(delete(LinkFigures).where(LinkFigures.number != 2))
        clicks = session.scalar(select(LinkFigures.clicks).where(LinkFigures.edition_id == NEWEST))

    rows = sheet(viewer.get(f"{REPORT}/links.csv"))

    assert [row[3] for row in rows[1:3]] == [str(clicks), "0"]
    assert len(rows) > 20


def test_time_since_delivery_adds_up_to_all_that_readers_did(site: Site, viewer: Member) -> None:
    rows = sheet(viewer.get(f"{REPORT}/time.csv"))

    with Session(site.engine) as session:
        opens = session.scalar(
            select(func.count()).where(Engagement.edition_id == NEWEST, Engagement.link == 0)
        )
    assert [row[0] for row in rows[1:]][:2] == ["hour 1", "hour 2"]
    assert [row[0] for row in rows[1:]][-2:] == ["day 7", "later"]
    assert sum(int(row[1]) for row in rows[1:]) == opens


@pytest.mark.parametrize("name", ["sum", "stories", "links", "time", "lists"])
def test_each_table_of_an_edition_is_a_file(viewer: Member, name: str) -> None:
    answer = viewer.get(f"{REPORT}/{name}.csv")

    assert len(sheet(answer)) > 1
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="edition-{NEWEST}-{name}.csv"'
    )


def test_there_is_no_other_file(viewer: Member) -> None:
    assert viewer.get(f"{REPORT}/people.csv").status_code == 404
    assert viewer.get("/newsroom/reports/morning/people.csv").status_code == 404
    assert viewer.get("/newsroom/reports/nothing").status_code == 404


def test_an_edition_that_was_not_sent_says_what_will_be_here(viewer: Member) -> None:
    page = text_of(viewer.get(f"/newsroom/editions/{NEWEST + 1}/report"))

    assert "Nothing to report yet" in page


@pytest.mark.parametrize(
    ("tracking", "words"),
    [
        (Tracking.FULL, "Opens are approximate"),
        (Tracking.ANONYMOUS, "counts without names"),
        (Tracking.OFF, "does not track its readers"),
    ],
)
def test_a_report_says_what_its_figures_can_claim(
    site: Site, viewer: Member, tracking: Tracking, words: str
) -> None:
    with transaction(site.engine) as session:
        session.execute(update(MailingList).values(tracking=tracking))

    page = text_of(viewer.get(REPORT))

    assert words in page
    assert ("Stories" in page) is (tracking is not Tracking.OFF)


def test_growth_adds_up_from_day_to_day(viewer: Member) -> None:
    rows = sheet(viewer.get("/newsroom/reports/morning/days.csv?days=365"))
    days = [[int(each) for each in row[1:]] for row in rows[1:]]

    assert len(days) == 365
    for before, (joined, imported, left, removed, size) in pairwise(days):
        assert size == before[-1] + joined + imported - left - removed
    assert f"subscribers {days[-1][-1]:,}" in text_of(viewer.get("/newsroom/reports/morning"))


def test_editions_are_paged_by_key_from_the_newest_on(viewer: Member) -> None:
    titles = re.compile(r'<th scope="row"><a href="/newsroom/editions/(\d+)/report">')
    whole = titles.findall(viewer.get("/newsroom/reports/morning").text)
    second = whole[2]

    page = viewer.get(f"/newsroom/reports/morning?before={second}")

    assert titles.findall(page.text) == whole[3:]
    assert "Newest" in text_of(page)
    assert int(whole[0]) > int(whole[-1])


def test_a_narrowed_account_sees_the_reports_of_its_lists_alone(site: Site) -> None:
    mailing_list = list_of(site.engine, NEWEST)
    others = site.member(Role.EDITOR, lists={mailing_list.id + 1: Role.EDITOR})
    its = site.member(Role.EDITOR, lists={mailing_list.id: Role.VIEWER})

    assert others.get(REPORT).status_code == 404
    assert others.get(f"{REPORT}/sum.csv").status_code == 404
    assert others.get(f"/newsroom/reports/{mailing_list.slug}").status_code == 404
    assert mailing_list.name not in text_of(others.get("/newsroom/reports"))
    assert its.get(REPORT).status_code == 200
    assert mailing_list.name in text_of(its.get("/newsroom/reports"))


def test_without_a_list_the_page_says_what_will_be_here(site: Site) -> None:
    nobody = site.member(Role.VIEWER, lists={})

    assert "No list yet" in text_of(nobody.get("/newsroom/reports"))


def test_a_headline_like_a_formula_is_disarmed(site: Site, viewer: Member) -> None:
    with transaction(site.engine) as session:
        session.execute(update(MailingList).where(MailingList.slug == "morning").values(slug="=a"))

    rows = sheet(viewer.get(f"/newsroom/editions/{newest_of_morning(site)}/report/lists.csv"))

    assert rows[1][0] == "'=a"


def newest_of_morning(site: Site) -> int:
    with Session(site.engine) as session:
        found = session.scalar(
            select(func.max(EditionList.edition_id)).where(
                EditionList.list_id == 1, EditionList.edition_id <= NEWEST
            )
        )
        assert found is not None
        return found

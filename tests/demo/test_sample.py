"""The sample that the demo sends: believable, deterministic and complete."""

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from newsletter.addresses import parse_address
from newsletter.audience.import_merge import Outcome
from newsletter.audience.importing import ImportPlan, import_file
from newsletter.audience.lists import create_list
from newsletter.audience.rows import Rejection
from newsletter.compose.briefing import plain
from newsletter.compose.findings import Severity
from newsletter.compose.parser import read_briefing
from newsletter.db import transaction
from newsletter.demo.sample import (
    SAMPLE_BRIEFING,
    SAMPLE_BRIEFING_ZH,
    SAMPLE_LIST,
    write_sample_csv,
)
from newsletter.errors import InputError
from newsletter.models import LegalBasis, SubscriptionStatus

NOW = datetime(2026, 11, 20, 6, tzinfo=UTC)
BAD_LINES = 8


@pytest.mark.parametrize("store", ["sqlite"])
@pytest.mark.parametrize(
    ("people", "each"), [(1, 0), (2, 0), (9, 0), (10, 1), (99, 3), (100, 3), (1_000, 10)]
)
def test_a_sample_has_exactly_so_many_people_and_eight_bad_lines(
    engine: Engine, tmp_path: Path, people: int, each: int
) -> None:
    write_sample_csv(tmp_path / "sample.csv", people)
    with transaction(engine) as session:
        list_id = create_list(session, SAMPLE_LIST, now=NOW).id

    with (tmp_path / "sample.csv").open("rb") as stream:
        report = import_file(
            engine,
            stream,
            ImportPlan(basis=LegalBasis.CONSENT),
            list_id=list_id,
            file_name="sample.csv",
            by="demo",
            now=NOW,
        )

    assert report.people == people
    assert report.of(Outcome.CREATED) == people - each
    assert report.statuses.get(SubscriptionStatus.PENDING, 0) == each
    assert report.statuses.get(SubscriptionStatus.UNSUBSCRIBED, 0) == each
    assert report.of(Outcome.SUPPRESSED) == each
    assert sum(report.rejected.values()) == len(report.problems) == BAD_LINES
    assert set(report.rejected) == {
        Rejection.INVALID_ADDRESS,
        Rejection.UNKNOWN_ZONE,
        Rejection.REPEATED,
        Rejection.WRONG_FIELDS,
        Rejection.UNKNOWN_STATUS,
        Rejection.CONTROL_CHARACTER,
        Rejection.BROKEN_QUOTES,
    }


def test_a_sample_is_the_same_every_time(tmp_path: Path) -> None:
    write_sample_csv(tmp_path / "one.csv", 300)
    write_sample_csv(tmp_path / "other.csv", 300)

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_a_sample_spans_the_world(tmp_path: Path) -> None:
    write_sample_csv(tmp_path / "sample.csv", 500)

    with (tmp_path / "sample.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) == 6][1:]

    names = "".join(row[1] for row in rows)
    zones = {row[2] for row in rows} - {"Mars/Olympus_Mons"}
    domains = {row[0].lower().rpartition("@")[2] for row in rows if "@" in row[0]}
    assert len(zones) == 12
    assert len(domains - {"localhost"}) == 8
    for script in ("[a-z]", "[äéñõ]", "[а-я]", "[ء-ي]", "[一-龥]", "[ぁ-ん]", "[अ-ह]"):
        assert re.search(script, names)


def test_a_sample_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        write_sample_csv(tmp_path / "sample.csv", 0)


def test_the_sample_can_only_be_mailed_to_example_domains(tmp_path: Path) -> None:
    write_sample_csv(tmp_path / "sample.csv", 200)

    text = (tmp_path / "sample.csv").read_text(encoding="utf-8")
    for found in re.findall(r"[^,\s]+@[^,\s]+\.[^,\s]+", text):
        assert parse_address(found).domain.endswith(".example")


@pytest.mark.parametrize(
    ("path", "language", "stories", "points"),
    [(SAMPLE_BRIEFING, "en", 15, [1, 2, 5, 9, 6]), (SAMPLE_BRIEFING_ZH, "zh", 9, [1, 2, 4, 6])],
    ids=["en", "zh"],
)
def test_a_sample_briefing_is_a_whole_morning_without_an_error(
    path: Path, language: str, stories: int, points: list[int]
) -> None:
    parsed = read_briefing(path.read_bytes(), today=NOW.date())

    briefing = parsed.briefing
    assert briefing is not None
    assert all(finding.severity is not Severity.ERROR for finding in parsed.findings)
    assert briefing.language == language
    assert briefing.date == NOW.date()
    assert set(briefing.credits) == {"producer", "editor"}
    assert len(briefing.sections) == 4
    assert len(list(briefing.stories)) == stories
    assert [point.story for point in briefing.key_points] == points
    assert any(story.source is None for story in briefing.stories)
    assert sum(len(story.images) for story in briefing.stories) == 1


def test_the_stories_of_the_sample_have_the_length_of_a_morning_briefing() -> None:
    briefing = read_briefing(SAMPLE_BRIEFING.read_bytes(), today=NOW.date()).briefing

    assert briefing is not None
    for story in briefing.stories:
        words = sum(len(plain(paragraph).split()) for paragraph in story.paragraphs)
        assert 50 <= words <= 110

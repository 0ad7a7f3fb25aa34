"""`newsletter compose` at the edge: what it prints and how it exits."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from newsletter.cli import cli

DATA = Path(__file__).parents[1] / "data" / "briefings"
ODD = DATA / "everything-odd-at-once.txt"


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["compose", *arguments], input=stdin)


def test_json_has_the_briefing_and_the_findings() -> None:
    result = run(str(ODD), "--json")

    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert set(printed) == {"briefing", "findings"}
    briefing = printed["briefing"]
    assert list(briefing) == [
        "series", "title", "credits", "date", "intro", "key_points", "sections",
    ]  # fmt: skip
    assert briefing["date"] == "2024-03-07"
    assert briefing["key_points"][0]["story"] == 1
    story = briefing["sections"][1]["stories"][0]
    assert set(story) == {"headline", "paragraphs", "source", "images"}
    assert story["source"] is None
    assert story["images"] == [{"src": "image_link", "alt": "Coastal Press"}]
    assert printed["findings"][0] == {
        "code": "date-without-year",
        "severity": "warning",
        "line": 7,
        "column": 10,
        "message": "“Thursday, March 7th” has no year; it was read as 2024-03-07.",
    }


def test_chinese_is_printed_as_it_is() -> None:
    assert "诺维克" in run(str(DATA / "chinese-morning-paste.txt"), "--json").stdout


def test_a_person_reads_an_overview() -> None:
    result = run(str(ODD))

    assert result.exit_code == 0
    assert "Thursday, 2024-03-07" in result.stdout
    assert "Editor: Mara Lindqvist" in result.stdout
    assert "Policy News (2)" in result.stdout
    assert "12. Exciting News from Blue Heron" in result.stdout
    assert "7:10 warning date-without-year" in result.stdout


def test_a_briefing_with_nothing_to_mend_says_so() -> None:
    text = (
        "[S] One; Two\n\nProducer | P\nEditor | E\n\nToday is Friday, March 8, 2024.\n\nKey news:\n"
        "1. Gull opens a lab\n2. Tern closes a shop\n3. Skua hires people\n\n[News]\n\n"
        "Gull Opens a Lab\n\nIt did. (Tide)\n\nTern Closes a Shop\n\nIt did. (Tide)\n\n"
        "Skua Hires People\n\nIt did. (Tide)\n"
    )

    assert "Nothing to mend." in run("-", stdin=text.encode()).stdout


def test_an_error_in_the_text_exits_with_1() -> None:
    result = run("-", "--json", stdin=b"just a line")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["briefing"] is None


def test_a_file_that_cannot_be_read_exits_with_2(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.txt", tmp_path):
        result = run(str(path))

        assert result.exit_code == 2
        assert "Traceback" not in result.output
        assert str(path) in result.output

import email
import email.policy
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from newsletter.checks.message import check_message
from newsletter.cli.render import command

BRIEFING = """\
[Tech Brief] TikTok on US Split

Editor | Wang Yiqing

Today is Thursday, March 7th, 2024. What happened in the tech world?

Key Technology News for Today:

1. ByteDance starts a new round of buybacks.

[Major Updates]

ByteDance Starts a New Round of Buybacks

On March 5th, ByteDance started a new round of buybacks at $170 per share. (Jiemian)
"""


def render(file: Path, *options: str) -> Result:
    out = file.parent / "out"
    return CliRunner().invoke(command, [str(file), "--out", str(out), *options])


@pytest.fixture
def briefing(tmp_path: Path) -> Path:
    file = tmp_path / "briefing.txt"
    file.write_text(BRIEFING, encoding="utf-8")
    return file


def test_a_briefing_becomes_three_files(briefing: Path) -> None:
    result = render(briefing)

    assert result.exit_code == 0, result.output
    out = briefing.parent / "out"
    raw = (out / "edition.eml").read_bytes()
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert check_message(raw) == []
    assert message["Subject"] == "TikTok on US Split"
    assert "ByteDance Starts" in (out / "edition.html").read_text(encoding="utf-8")
    assert "ByteDance Starts" in (out / "edition.txt").read_text(encoding="utf-8")
    assert "edition.html" in result.stdout
    assert "key-points" in result.stderr


def test_what_blocks_the_sending_is_said_and_exits_with_1(briefing: Path) -> None:
    result = render(briefing, "--subject", "Hello {{ name }}, good morning")

    assert result.exit_code == 1
    assert "error placeholder-left: “{{ name }}”" in result.stderr


def test_a_text_that_is_no_briefing_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_bytes(b"\n\n")

    result = render(file)

    assert result.exit_code == 1
    assert "error " in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_file_that_cannot_be_read_exits_with_2(tmp_path: Path, name: str) -> None:
    result = render(tmp_path / name)

    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_place_that_cannot_be_written_exits_with_2(briefing: Path) -> None:
    (briefing.parent / "out").write_text("in the way", encoding="utf-8")

    result = CliRunner().invoke(command, [str(briefing), "--out", str(briefing.parent / "out/x")])

    assert result.exit_code == 2
    assert "cannot write to" in result.output

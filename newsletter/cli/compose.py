"""`newsletter compose`: how a briefing text is read, for a person or as JSON."""

import datetime
import json
from typing import Any, BinaryIO

import click

from newsletter.clock import utc_now
from newsletter.compose.briefing import Briefing, RichText, Section, Story, plain
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.parser import Parsed, read_briefing
from newsletter.compose.reading import MAX_BYTES

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.HINT: "cyan"}


class UnreadableFile(click.ClickException):
    exit_code = 2


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--json", "as_json", is_flag=True, help="Print the briefing and the findings as JSON."
)
@click.pass_context
def command(context: click.Context, file: BinaryIO, *, as_json: bool) -> None:
    """Read the briefing text in FILE (- for standard input) and show what it says.

    Exits with 1 when a finding is an error.
    """
    parsed = read_briefing(_bytes_of(file), today=_latest_day_on_earth())
    if as_json:
        click.echo(json.dumps(_to_json(parsed), ensure_ascii=False, indent=2).encode())
    else:
        _show(parsed)
    if any(finding.severity is Severity.ERROR for finding in parsed.findings):
        context.exit(1)


def _bytes_of(file: BinaryIO) -> bytes:
    try:
        return file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{file.name} cannot be read: {error.strerror}."
        raise UnreadableFile(message) from error


def _latest_day_on_earth() -> datetime.date:
    """The morning's date is already printed where the day has begun, 14 hours before UTC."""
    return (utc_now() + datetime.timedelta(hours=14)).date()


def _to_json(parsed: Parsed) -> dict[str, Any]:
    return {
        "briefing": _briefing_to_json(parsed.briefing) if parsed.briefing else None,
        "findings": [_finding_to_json(finding) for finding in parsed.findings],
    }


def _briefing_to_json(briefing: Briefing) -> dict[str, Any]:
    return {
        "series": briefing.series,
        "title": briefing.title,
        "credits": dict(briefing.credits),
        "date": briefing.date.isoformat() if briefing.date else None,
        "intro": _texts(briefing.intro),
        "key_points": [{"text": point.text, "story": point.story} for point in briefing.key_points],
        "sections": [
            {"name": section.name, "stories": [_story_to_json(story) for story in section.stories]}
            for section in briefing.sections
        ],
    }


def _story_to_json(story: Story) -> dict[str, Any]:
    return {
        "headline": story.headline,
        "paragraphs": _texts(story.paragraphs),
        "source": story.source,
        "images": [{"src": image.src, "alt": image.alt} for image in story.images],
    }


def _finding_to_json(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity.value,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
    }


def _texts(paragraphs: tuple[RichText, ...]) -> list[str]:
    return [plain(rich) for rich in paragraphs]


def _show(parsed: Parsed) -> None:
    if parsed.briefing:
        _show_head(parsed.briefing)
        _show_sections(parsed.briefing)
    _show_findings(parsed.findings)


def _show_head(briefing: Briefing) -> None:
    if briefing.series:
        click.secho(briefing.series, fg="cyan")
    click.secho(briefing.title, bold=True)
    if briefing.date:
        click.echo(f"{briefing.date:%A}, {briefing.date.isoformat()}")
    for role, name in briefing.credits.items():
        click.echo(f"{role.capitalize()}: {name}")
    if briefing.key_points:
        click.secho("\nKey points", bold=True)
    for point in briefing.key_points:
        story = f"story {point.story}" if point.story else "no story"
        click.echo(f"  • {point.text} → {story}")


def _show_sections(briefing: Briefing) -> None:
    number = 0
    for section in briefing.sections:
        click.secho(f"\n{_heading(section)}", bold=True)
        for story in section.stories:
            number += 1
            click.echo(f"  {number:2}. {story.headline}")
            click.secho(f"      {_summary(story)}", dim=True)


def _heading(section: Section) -> str:
    return f"{section.name or 'Stories'} ({len(section.stories)})"


def _summary(story: Story) -> str:
    facts = [story.source or "no source", _counted(len(story.paragraphs), "paragraph")]
    if story.images:
        facts.append(_counted(len(story.images), "image"))
    return " · ".join(facts)


def _show_findings(findings: tuple[Finding, ...]) -> None:
    if not findings:
        click.secho("\nNothing to mend.", fg="green")
        return
    counts = [
        _counted(number, severity.value)
        for severity in Severity
        if (number := sum(finding.severity is severity for finding in findings))
    ]
    click.secho(f"\n{', '.join(counts)}", bold=True)
    for finding in findings:
        place = f"{finding.line}:{finding.column}" if finding.line else "-"
        severity = click.style(f"{finding.severity.value:<7}", fg=_COLOURS[finding.severity])
        click.echo(f"{place:>7} {severity} {finding.code} {finding.message}")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

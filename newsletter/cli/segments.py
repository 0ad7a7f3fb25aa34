"""`newsletter segment …`: saved conditions over people, their figures and their people."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy.orm import Session

from newsletter.audience.segments.estimate import (
    Estimate,
    ask_for_count,
    count_exactly,
    estimate,
)
from newsletter.audience.segments.language import QueryError
from newsletter.audience.segments.query import Segmented, segmented
from newsletter.audience.segments.saved import (
    SegmentChanges,
    create_segment,
    delete_segment,
    edit_segment,
    editions_using,
    exact_count,
    list_segments,
    people_of,
    rename_segment,
    segment_by_name,
    start_count,
)
from newsletter.audience.subscribers import MOST_ON_A_PAGE
from newsletter.cli.output import json_option, write_json
from newsletter.cli.person import show_page
from newsletter.clock import utc_now
from newsletter.db import get_engine, reading, transaction
from newsletter.errors import InputError
from newsletter.models import Segment, SegmentCount

ON_A_PAGE = 100


@click.group()
def command() -> None:
    """Save conditions over people, and see whom they hold for."""


@command.command("create")
@click.argument("name")
@click.argument("definition")
@click.option("--description", default="", help="What it is for.")
@json_option
def create_command(name: str, definition: str, description: str, as_json: bool) -> None:
    """Save DEFINITION, like 'language is en and tagged vip', as the segment NAME (a-z, 0-9 and -)."""
    with _pointing_at(definition), transaction() as session:
        made = create_segment(
            session,
            name,
            definition,
            description=description,
            created_by=getpass.getuser(),
            now=utc_now(),
        )
        _show(session, made, as_json)


@command.command("edit")
@click.argument("name")
@click.argument("definition", required=False)
@click.option("--description", help="What it is for.")
@json_option
def edit_command(name: str, definition: str | None, description: str | None, as_json: bool) -> None:
    """Change the segment NAME; editions that are approved keep to what was approved."""
    changes = SegmentChanges(definition=definition, description=description)
    with _pointing_at(definition), transaction() as session:
        _show(session, edit_segment(session, name, changes, now=utc_now()), as_json)


@command.command("rename")
@click.argument("name")
@click.argument("new")
@json_option
def rename_command(name: str, new: str, as_json: bool) -> None:
    """Call the segment NAME by the name NEW; what is approved keeps the old one."""
    with transaction() as session:
        _show(session, rename_segment(session, name, new, now=utc_now()), as_json)


@command.command("show")
@click.argument("name")
@json_option
def show_command(name: str, as_json: bool) -> None:
    """Show the segment NAME, about how many people it has, and how far an exact count is."""
    with reading() as session:
        _show(session, segment_by_name(session, name), as_json)


@command.command("list")
@click.option("--after", default="", help="Begin behind this name.")
@click.option(
    "--limit", default=ON_A_PAGE, show_default=True, type=click.IntRange(1, MOST_ON_A_PAGE)
)
@json_option
def list_command(after: str, limit: int, as_json: bool) -> None:
    """Show the segments, page by page."""
    with reading() as session:
        found = list_segments(session, after=after, limit=limit + 1)
    page = found[:limit]
    next_after = page[-1].name if len(found) > limit else None
    if as_json:
        write_json({"segments": [_as_json(each) for each in page], "next_after": next_after})
        return
    for each in page:
        click.echo(f"{each.name:<24} {each.definition}")
    if next_after is not None:
        click.echo(f"… and more: --after {next_after}", err=True)
    if not page and not after:
        click.echo("There is no segment yet; make one with: newsletter segment create")


@command.command("delete")
@click.argument("name")
def delete_command(name: str) -> None:
    """Forget the segment NAME; refused while an edition uses it that is not over."""
    with transaction() as session:
        delete_segment(session, name)
    click.echo(f"The segment {name} is deleted.")


@command.command("count")
@click.argument("name", required=False)
@click.option("--query", "definition", help="Count a definition that is not saved.")
@click.option("--exact", is_flag=True, help="Look at everybody; it may take minutes.")
@click.option("--background", is_flag=True, help="With --exact: a worker does; see segment show.")
@json_option
def count_command(
    name: str | None, definition: str | None, exact: bool, background: bool, as_json: bool
) -> None:
    """Say about how many people the segment NAME has, or exactly how many."""
    if (name is None) is (definition is None):
        raise InputError("name a saved segment or give --query, one of the two", field="query")
    if background and not exact:
        raise InputError("a worker makes exact counts only; add --exact", field="background")
    if exact:
        if name is None:
            raise InputError(
                "save the definition first; an exact count belongs to a segment", field="exact"
            )
        _count_exactly(name, background, as_json)
        return
    with _pointing_at(definition), reading() as session:
        text = definition if name is None else segment_by_name(session, name).definition
        found = segmented(session, text or "", now=utc_now())
        about = estimate(session, found)
    _show_estimate(found, about, as_json)


@command.command("people")
@click.argument("name")
@click.option(
    "--after", default=0, type=click.IntRange(0, 2**63 - 1), help="Begin behind this number."
)
@click.option(
    "--limit", default=ON_A_PAGE, show_default=True, type=click.IntRange(1, MOST_ON_A_PAGE)
)
@json_option
def people_command(name: str, after: int, limit: int, as_json: bool) -> None:
    """Show the people of the segment NAME, page by page, in the order in which they came."""
    with reading() as session:
        found = segmented(session, segment_by_name(session, name).definition, now=utc_now())
        page = people_of(session, found, after=after, limit=limit)
    show_page(page, as_json=as_json)


@contextmanager
def _pointing_at(definition: str | None) -> Iterator[None]:
    """Shows the place in a definition that was just typed, before the message about it."""
    try:
        yield
    except QueryError as error:
        if definition and "\n" not in definition:
            click.echo(definition, err=True)
            click.echo(" " * (error.column - 1) + "^", err=True)
        raise


def _count_exactly(name: str, background: bool, as_json: bool) -> None:
    with transaction() as session:
        segment = segment_by_name(session, name)
        if background:
            start_count(session, segment, now=utc_now())
        else:
            ask_for_count(session, segment.id, segment.definition, now=utc_now())
    if not background:
        _count_here(segment.id)
    with reading() as session:
        count = exact_count(session, segment)
    if as_json:
        write_json(_count_as_json(count))
    else:
        click.echo(_count_in_words(count))


def _count_here(segment_id: int) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("counting"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task("count", total=None)
        count_exactly(
            get_engine(),
            segment_id,
            clock=utc_now,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _show(session: Session, segment: Segment, as_json: bool) -> None:
    found = segmented(session, segment.definition, now=utc_now())
    about = estimate(session, found)
    count = exact_count(session, segment)
    users = editions_using(session, segment)
    if as_json:
        write_json(
            _as_json(segment)
            | {
                "estimate": _estimate_as_json(about),
                "count": _count_as_json(count),
                "notes": found.notes,
                "editions": users,
            }
        )
        return
    click.echo(f"{segment.name}: {segment.definition}")
    if segment.description:
        click.echo(segment.description)
    click.echo(_estimate_in_words(about))
    if count is not None:
        click.echo(_count_in_words(count))
    if users:
        click.echo(f"Used by edition {', '.join(map(str, users))}.")
    _show_notes(found)


def _show_estimate(found: Segmented, about: Estimate, as_json: bool) -> None:
    if as_json:
        write_json(_estimate_as_json(about) | {"notes": found.notes})
        return
    click.echo(_estimate_in_words(about))
    _show_notes(found)


def _show_notes(found: Segmented) -> None:
    for note in found.notes:
        click.echo(note, err=True)


def _estimate_in_words(about: Estimate) -> str:
    if about.is_exact:
        return f"{about.people:,} of {about.audience:,} people."
    return (
        f"about {about.people:,} of {about.audience:,} people (give or take {about.margin:,}); "
        "--exact counts them."
    )


def _count_in_words(count: SegmentCount | None) -> str:
    if count is None:
        return "It was edited since; count it again."
    if count.ended_at is not None:
        return f"exactly {count.people:,} people, counted at {count.asked_at:%Y-%m-%d %H:%M} UTC."
    share = count.cursor / count.upto if count.upto else 0
    return f"An exact count is under way: {share:.0%}."


def _as_json(segment: Segment) -> dict[str, Any]:
    return {
        "name": segment.name,
        "description": segment.description,
        "definition": segment.definition,
        "created_at": segment.created_at.isoformat(),
        "created_by": segment.created_by,
        "changed_at": segment.changed_at.isoformat(),
    }


def _estimate_as_json(about: Estimate) -> dict[str, Any]:
    return {
        "people": about.people,
        "audience": about.audience,
        "margin": about.margin,
        "is_exact": about.is_exact,
    }


def _count_as_json(count: SegmentCount | None) -> dict[str, Any] | None:
    if count is None:
        return None
    return {
        "people": count.people if count.ended_at else None,
        "looked_at": count.cursor,
        "of": count.upto,
        "asked_at": count.asked_at.isoformat(),
        "ended_at": count.ended_at.isoformat() if count.ended_at else None,
    }

"""`newsletter edition audience`: which of its lists' people an edition goes to."""

import click

from newsletter.cli.output import json_option, write_json
from newsletter.db import transaction
from newsletter.errors import InputError
from newsletter.models import EditionSegment, SegmentUse
from newsletter.plan.audience import choose_audience, segments_of


@click.command()
@click.argument("edition_id", type=int)
@click.option("--segment", help="Only these people of its lists; the name of a segment.")
@click.option("--exclude", "exclusions", multiple=True, help="Not them; may be given again.")
@click.option("--everybody", is_flag=True, help="All people of its lists again.")
@json_option
def audience(
    edition_id: int,
    segment: str | None,
    exclusions: tuple[str, ...],
    *,
    everybody: bool,
    as_json: bool,
) -> None:
    """Narrow a draft to segments, instead of what it had; without options, show what it has."""
    is_narrowed = segment is not None or bool(exclusions)
    if everybody and is_narrowed:
        raise InputError("it contradicts --segment and --exclude; choose one", field="everybody")
    with transaction() as session:
        if everybody or is_narrowed:
            choose_audience(session, edition_id, audience=segment, exclusions=exclusions)
        used = segments_of(session, edition_id)
    if as_json:
        write_json([_as_json(each) for each in used])
        return
    for each in used:
        click.echo(describe_use(each))
    if not used:
        click.echo(f"Edition {edition_id} goes to everybody on its lists.")


def describe_use(used: EditionSegment) -> str:
    opening = "only" if used.use is SegmentUse.AUDIENCE else "without"
    return f"{opening} {used.name}: {used.definition or 'as it is when the edition is approved'}"


def _as_json(used: EditionSegment) -> dict[str, str | None]:
    return {"use": used.use.value, "segment": used.name, "definition": used.definition}

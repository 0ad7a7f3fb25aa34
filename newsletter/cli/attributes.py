"""`newsletter attribute …`: what this installation keeps about people besides the usual."""

from typing import Any

import click

from newsletter.audience.attributes import add_attribute, all_attributes, retire_attribute
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import Attribute, AttributeKind


@click.group()
def command() -> None:
    """Say what is kept about people besides name, language and zone."""


@command.command("add")
@click.argument("key")
@click.option("--kind", required=True, type=click.Choice([kind.value for kind in AttributeKind]))
@click.option("--label", required=True, help="As people read it.")
@click.option("--choice", "choices", multiple=True, help="Of the kind choice; may be given again.")
@json_option
def add_command(key: str, kind: str, label: str, choices: tuple[str, ...], as_json: bool) -> None:
    """Keep the attribute KEY (a-z, 0-9 and -) of people; key and kind stay for good."""
    with transaction() as session:
        added = add_attribute(
            session, key, AttributeKind(kind), label=label, choices=choices, now=utc_now()
        )
    _show([added], as_json=as_json)


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Show the attributes."""
    with reading() as session:
        attributes = all_attributes(session)
    _show(attributes, as_json=as_json)
    if not attributes and not as_json:
        click.echo("There is no attribute yet; make one with: newsletter attribute add")


@command.command("retire")
@click.argument("key")
@json_option
def retire_command(key: str, as_json: bool) -> None:
    """Take no new values of KEY; those that people have stay."""
    with transaction() as session:
        retired = retire_attribute(session, key, now=utc_now())
    _show([retired], as_json=as_json)


def _show(attributes: list[Attribute], *, as_json: bool) -> None:
    if as_json:
        write_json([_as_json(each) for each in attributes])
        return
    for each in attributes:
        choices = f": {', '.join(each.choices)}" if each.choices else ""
        retired = "  (retired)" if each.retired_at else ""
        click.echo(f"{each.key:<20} {each.kind}{choices}  {each.label}{retired}")


def _as_json(shown: Attribute) -> dict[str, Any]:
    return {
        "key": shown.key,
        "label": shown.label,
        "kind": shown.kind,
        "choices": shown.choices,
        "created_at": shown.created_at.isoformat(),
        "retired_at": shown.retired_at.isoformat() if shown.retired_at else None,
    }

"""What commands print for programs: one JSON value on standard output."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """`--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for a program.")(
        command
    )


def write_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))

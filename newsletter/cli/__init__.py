"""`newsletter …`: one file per group of commands; each command is a few lines over a stage."""

import importlib
import logging
import sys
from typing import Any

import click

from newsletter.errors import NewsletterError

# name -> module that holds `command`; imported only when asked for, so that `--help` stays quick.
COMMANDS = {
    "demo": "demo",
    "drill": "drill",
    "compose": "compose",
    "render": "render",
    "list": "lists",
    "subscribers": "subscribers",
    "edition": "edition",
    "transport": "transport",
    "dkim": "dkim",
    "db": "database",
    "doctor": "doctor",
    "web": "web",
    "devmail": "devmail",
    "bench": "bench",
    "secret": "secret",
}


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"newsletter.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="newsletter")
def cli() -> None:
    """Deliver a newsroom's morning briefing by e-mail."""


def main() -> Any:
    """Run the command line; a mistake of the person at it is one message and exit code 2."""
    logging.captureWarnings(True)
    try:
        return cli()
    except NewsletterError as error:
        click.secho(f"newsletter: {error}", fg="red", err=True)
        sys.exit(2)

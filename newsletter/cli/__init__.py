"""`newsletter …`: one file per group of commands; each command is a few lines over a stage."""

import importlib
import logging
import sys
from typing import Any, NoReturn

import click
from sqlalchemy.exc import DBAPIError

from newsletter.errors import NewsletterError
from newsletter.words import Words

# name -> module that holds `command`; imported only when asked for, so that `--help` stays quick.
COMMANDS = {
    "demo": "demo",
    "drill": "drill",
    "seed": "seed",
    "compose": "compose",
    "render": "render",
    "list": "lists",
    "subscriber": "subscribers",
    "attribute": "attributes",
    "segment": "segments",
    "import": "imports",
    "export": "exports",
    "suppression": "suppression",
    "privacy": "privacy",
    "edition": "edition",
    "feed": "feed",
    "figures": "figures",
    "slot": "slot",
    "alarm": "alarm",
    "test-recipient": "test_recipients",
    "transport": "transport",
    "route": "route",
    "warm-up": "warm_up",
    "dkim": "dkim",
    "account": "account",
    "audit": "audit",
    "api-key": "api_key",
    "openapi": "openapi",
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
        _refuse(str(error))
    except DBAPIError as error:
        _refuse(
            Words(
                "the database cannot be used: {orig}\nCheck NEWSLETTER_DATABASE_URL; if it is "
                "right, run: newsletter db upgrade",
                orig=error.orig,
            )
        )
    except OSError as error:
        _refuse(str(error))


def _refuse(message: str) -> NoReturn:
    click.secho(f"newsletter: {message}", fg="red", err=True)
    sys.exit(2)

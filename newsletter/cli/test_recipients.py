"""`newsletter test-recipient`: who test mails may go to."""

import getpass

import click

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.test_recipients import allow_tests, allowed_patterns, disallow_tests


@click.group()
def command() -> None:
    """Say who test mails may go to."""


@command.command()
@click.argument("pattern")
def add(pattern: str) -> None:
    """Let test mails go to PATTERN: an address, or a whole domain as @example.org."""
    with transaction() as session:
        kept = allow_tests(session, pattern, by=getpass.getuser(), now=utc_now())
    click.echo(f"Test mails may go to {kept}.")


@command.command()
@click.argument("pattern")
def remove(pattern: str) -> None:
    """Let no more test mails go to PATTERN."""
    with transaction() as session:
        kept = disallow_tests(session, pattern)
    click.echo(f"{kept} is off the list.")


@command.command("list")
def list_() -> None:
    """Show who test mails may go to, since when and by whom."""
    with reading() as session:
        patterns = allowed_patterns(session)
    for each in patterns:
        click.echo(f"{each.pattern}  since {each.added_at:%Y-%m-%d} by {each.added_by}")
    if not patterns:
        click.echo("Nobody yet; add somebody with: newsletter test-recipient add ADDRESS")

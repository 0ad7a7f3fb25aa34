"""`newsletter audit …`: who did what."""

import click

from newsletter.accounts.audit import audit_entries
from newsletter.accounts.people import account_by_email
from newsletter.cli.output import json_option, write_json
from newsletter.db import reading


@click.group()
def command() -> None:
    """Read the audit log."""


@command.command("list")
@click.option("--account", "email", help="Only what this person did.")
@click.option("--action", help="Only this, as in: signed in.")
@click.option("--before", type=click.IntRange(1), help="Only entries older than this number.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many."
)
@json_option
def list_command(
    email: str | None, action: str | None, before: int | None, limit: int, as_json: bool
) -> None:
    """Show what was done, newest first."""
    with reading() as session:
        account_id = account_by_email(session, email).id if email else None
        page = audit_entries(
            session, account_id=account_id, action=action, before=before, limit=limit
        )
    if as_json:
        write_json(
            [
                {
                    "id": each.id,
                    "at": each.at.isoformat(),
                    "actor": each.actor,
                    "action": each.action,
                    "subject": each.subject,
                    "details": each.details,
                    "network": each.network,
                }
                for each in page.entries
            ]
        )
        return
    for each in page.entries:
        place = f"  from {each.network}" if each.network else ""
        click.echo(
            f"{each.id}  {each.at:%Y-%m-%d %H:%M:%S}Z  {each.actor}: {each.action} {each.subject}{place}"
        )
    if page.next_before is not None:
        click.echo(f"There is more; go on with --before {page.next_before}", err=True)

"""`newsletter api-key …`: lets programs use the API, and locks them out again."""

import getpass
from datetime import timedelta
from typing import Any

import click
from sqlalchemy.orm import Session

from newsletter.accounts.api_keys import all_api_keys, create_api_key, revoke_api_key
from newsletter.accounts.scopes import Scope
from newsletter.audience.lists import all_lists, list_by_slug
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import ApiKey


@click.group()
def command() -> None:
    """Make keys for programs that use the API, show and revoke them."""


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in Scope]),
    help="What it may do; may be given again.",
)
@click.option(
    "--list", "slugs", multiple=True, help="Only this list; may be given again. Else every list."
)
@click.option(
    "--days",
    default=365,
    show_default=True,
    type=click.IntRange(1, 3650),
    help="How long it can be used.",
)
@json_option
def create_command(
    name: str, scopes: tuple[str, ...], slugs: tuple[str, ...], days: int, as_json: bool
) -> None:
    """Make a key for the program NAME. It is shown once, on standard output."""
    now = utc_now()
    with transaction() as session:
        list_ids = [list_by_slug(session, slug).id for slug in slugs]
        made = create_api_key(
            session,
            name,
            [Scope(scope) for scope in scopes],
            list_ids=list_ids if slugs else None,
            by=getpass.getuser(),
            expires_at=now + timedelta(days=days),
            now=now,
        )
        shown = _key_as_json(made.row, _slugs(session))
    if as_json:
        write_json(shown | {"key": made.token})
        return
    click.echo(made.token)
    click.echo(
        f"Keep it now: it is stored nowhere. It works until {made.row.expires_at:%Y-%m-%d}.",
        err=True,
    )


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Show the keys, oldest first; not the secret part, which nobody has."""
    with reading() as session:
        keys = [_key_as_json(row, _slugs(session)) for row in all_api_keys(session)]
    if as_json:
        write_json(keys)
        return
    for key in keys:
        lists = "every list" if key["lists"] is None else ", ".join(key["lists"])
        end = "revoked" if key["revoked_at"] else f"until {key['expires_at'][:10]}"
        used = key["last_used_at"] or "never"
        click.echo(f"{key['prefix']}  {key['name']}  {end}; {lists}; last used: {used[:16]}")
        click.echo(f"{'':14}{' '.join(key['scopes'])}")
    if not keys:
        click.echo("There is no key yet; make one with: newsletter api-key create")


@command.command("revoke")
@click.argument("prefix")
@json_option
def revoke_command(prefix: str, as_json: bool) -> None:
    """Let nobody in any more with the key PREFIX, as `newsletter api-key list` shows it."""
    with transaction() as session:
        row = revoke_api_key(session, prefix, now=utc_now())
        shown = _key_as_json(row, _slugs(session))
    if as_json:
        write_json(shown)
    else:
        click.echo(f"{row.prefix} ({row.name}) is revoked.")


def _slugs(session: Session) -> dict[int, str]:
    return {each.id: each.slug for each in all_lists(session)}


def _key_as_json(row: ApiKey, slugs: dict[int, str]) -> dict[str, Any]:
    return {
        "prefix": row.prefix,
        "name": row.name,
        "scopes": row.scopes,
        "lists": sorted(slugs[each] for each in row.list_ids) if row.is_narrowed else None,
        "created_at": row.created_at.isoformat(),
        "created_by": row.created_by,
        "expires_at": row.expires_at.isoformat(),
        "last_used_at": row.last_used_at.isoformat() if row.last_used_at else None,
        "revoked_at": row.revoked_at.isoformat() if row.revoked_at else None,
    }

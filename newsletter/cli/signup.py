"""Commands of `newsletter subscriber` and `newsletter list` about signing up."""

import getpass

import click

from newsletter.addresses import mask_address
from newsletter.audience.evidence import evidence_of
from newsletter.audience.history import Origin
from newsletter.audience.invitations import invite
from newsletter.audience.lists import list_by_slug
from newsletter.audience.signup import lists_open_to_all
from newsletter.audience.signup_mail import Links
from newsletter.audience.subscribers import find_subscriber
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import StateError
from newsletter.models import ChangeCause
from newsletter.settings import get_settings
from newsletter.web.public.snippet import form_snippet


@click.command("evidence")
@click.argument("who")
@json_option
def evidence_command(who: str, as_json: bool) -> None:
    """Show what proves the consents of WHO, an address or a number."""
    with reading() as session:
        found = evidence_of(session, find_subscriber(session, who).id)
    if as_json:
        write_json(
            [
                {
                    "list": each.list_slug,
                    "kind": each.kind,
                    "at": each.at.isoformat(),
                    "evidence": each.details,
                }
                for each in found
            ]
        )
        return
    for each in found:
        click.echo(f"{each.at:%Y-%m-%d %H:%M:%S} UTC  {each.list_slug}: {each.kind.value}")
        for name, value in each.details.items():
            lines = str(value).splitlines() or ["-"]
            click.echo(f"  {name:<22} {lines[0]}")
            for line in lines[1:]:
                click.echo(f"  {'':<22} {line}")
    if not found:
        click.echo("There is no evidence: nobody asked, agreed or left.")


@click.command("invite")
@click.argument("address")
@click.option("--list", "slug", required=True, help="What they are invited to.")
@click.option("--reason", required=True, help="Kept with their consent; stands in no mail.")
@json_option
def invite_command(address: str, slug: str, reason: str, as_json: bool) -> None:
    """Mail one invitation to ADDRESS; only their own answer subscribes them, or lets mail go there.

    It is the one mail that may go to whoever complained or wanted no more.
    """
    with transaction() as session:
        invite(
            session,
            address,
            list_by_slug(session, slug),
            reason=reason,
            origin=Origin(ChangeCause.ADMIN, getpass.getuser(), "command line"),
            links=Links.of(get_settings()),
            now=utc_now(),
        )
    masked = mask_address(address)
    if as_json:
        write_json({"invited": masked, "list": slug})
    else:
        click.echo(f"An invitation to {slug} is on its way to {masked}.")


@click.command("form")
@click.argument("slug")
@json_option
def form_command(slug: str, as_json: bool) -> None:
    """Print HTML to put into a page of yours: a field that leads to the form of the list SLUG."""
    with reading() as session:
        mailing_list = list_by_slug(session, slug)
        is_open = mailing_list in lists_open_to_all(session)
    if not is_open:
        raise StateError(
            "{slug} is private or retired: nobody can subscribe to it by themselves", slug=slug
        )
    html = form_snippet(mailing_list, get_settings().base_url)
    if as_json:
        write_json({"list": slug, "html": html})
    else:
        click.echo(html)

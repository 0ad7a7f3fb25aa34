"""`newsletter list …`: makes the lists that people subscribe to, and shows them."""

import click

from newsletter.audience.lists import (
    NewList,
    all_lists,
    create_list,
    list_by_slug,
    set_on_uncertain,
)
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import MailingList, OnUncertain


@click.group()
def command() -> None:
    """Make lists and show them."""


@command.command("create")
@click.argument("slug")
@click.option("--name", required=True, help="The masthead.")
@click.option("--sender-name", required=True, help="Who the mail is from.")
@click.option("--sender-address", required=True, help="The bare address it is from.")
@click.option("--postal-address", required=True, help="On one line; the law wants it in each mail.")
@click.option("--tagline", default="", help="Under the masthead.")
@click.option("--accent", default="#0b57d0", show_default=True, help="The colour of the masthead.")
@click.option("--language", default="en", show_default=True, help="Like en, zh or pt-BR.")
@click.option("--zone", default="UTC", show_default=True, help="Like Europe/Berlin.")
@click.option("--reply-to", help="Where replies go, if not to the sender.")
def create_command(
    slug: str,
    name: str,
    sender_name: str,
    sender_address: str,
    postal_address: str,
    tagline: str,
    accent: str,
    language: str,
    zone: str,
    reply_to: str | None,
) -> None:
    """Make the list SLUG (a-z, 0-9 and -); the slug stays for good."""
    new = NewList(
        slug=slug,
        name=name,
        sender_name=sender_name,
        sender_address=sender_address,
        postal_address=postal_address,
        tagline=tagline,
        accent=accent,
        language=language,
        zone=zone,
        reply_to=reply_to,
    )
    with transaction() as session:
        made = create_list(session, new, now=utc_now())
    _show(made)


@command.command("on-uncertain")
@click.argument("slug")
@click.argument("policy", type=click.Choice([policy.value for policy in OnUncertain]))
def on_uncertain_command(slug: str, policy: str) -> None:
    """Let deliveries of the list SLUG that are in doubt be held, or sent once more."""
    with transaction() as session:
        set_on_uncertain(session, slug, OnUncertain(policy))
    click.echo(f"Deliveries of {slug} in doubt: {policy}.")


@command.command("show")
@click.argument("slug", required=False)
def show_command(slug: str | None) -> None:
    """Show the list SLUG, or name all lists."""
    with reading() as session:
        if slug is not None:
            _show(list_by_slug(session, slug))
            return
        lists = all_lists(session)
        for each in lists:
            click.echo(f"{each.slug}  {each.name}")
    if not lists:
        click.echo("There is no list yet; make one with: newsletter list create")


def _show(shown: MailingList) -> None:
    rows = {
        "list": shown.slug,
        "name": shown.name,
        "tagline": shown.tagline or "-",
        "from": f"{shown.sender_name} <{shown.sender_address}>",
        "replies to": shown.reply_to or shown.sender_address,
        "postal address": shown.postal_address,
        "language": shown.language,
        "zone": shown.zone,
        "accent": shown.accent,
        "opt-in": shown.opt_in.value,
    }
    for label, value in rows.items():
        click.echo(f"{label:<15} {value}")

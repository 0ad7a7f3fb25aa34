"""`newsletter dkim`: the keys that outgoing mail is signed with."""

import click
from sqlalchemy import select

from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.deliver.dkim_keys import create_key, dns_record, keys_for, retire_key, signing_key
from newsletter.models import DkimAlgorithm, DkimKey


@click.group()
def command() -> None:
    """Make and retire the keys that mail is signed with (DKIM)."""


@command.command()
@click.argument("domain")
@click.option("--selector", required=True, help="The key's name below the domain, like s2026a.")
@click.option("--ed25519", is_flag=True, help="A second, short signature beside the RSA one.")
def create(domain: str, selector: str, *, ed25519: bool) -> None:
    """Make a key for mail from DOMAIN and the domains below it, and print its DNS record.

    The domain's first key signs at once. A later one waits until you have published its record and
    retired the key before it.
    """
    algorithm = DkimAlgorithm.ED25519 if ed25519 else DkimAlgorithm.RSA
    with transaction() as session:
        key = create_key(session, domain, selector, algorithm=algorithm, now=utc_now())
        record = dns_record(signing_key(key))
        before = next(
            other for other in keys_for(session, key.domain) if other.algorithm is key.algorithm
        )
    click.echo("Publish this record:", err=True)
    click.echo(record.zone_line)
    if before is not key:
        click.echo(
            f"{key.selector} signs once {before.selector} is retired: when the record is out, "
            f"run: newsletter dkim retire {key.domain} {before.selector}",
            err=True,
        )


@command.command("list")
def list_() -> None:
    """Show the keys and which of them sign; the keys themselves are never shown."""
    with reading() as session:
        for key in session.scalars(select(DkimKey).order_by(DkimKey.domain, DkimKey.id)):
            is_signing = key in keys_for(session, key.domain)
            state = "signs" if is_signing else "waits" if key.is_active else "retired"
            made = f"{key.created_at:%Y-%m-%d}"
            click.echo(f"{key.domain} {key.selector}: {key.algorithm}, {state}, made {made}")


@command.command()
@click.argument("domain")
@click.argument("selector")
def retire(domain: str, selector: str) -> None:
    """Stop signing with a key. Its DNS record must stay for a week: mail on its way names it."""
    with transaction() as session:
        key = retire_key(session, domain, selector)
    click.echo(
        f"{key.domain} {key.selector} is retired; "
        "leave its DNS record in place for a week, for the mail that is on its way."
    )

"""`newsletter secret`: a fresh random secret for the settings."""

import secrets

import click


@click.command()
def command() -> None:
    """Print a random secret for NEWSLETTER_ADDRESS_KEY, or, behind `1:`, for NEWSLETTER_SECRET_KEYS."""
    click.echo(secrets.token_urlsafe(36))

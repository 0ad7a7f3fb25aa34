"""`newsletter feed`: the feeds that a list's editors draw stories from."""

import getpass
from datetime import datetime

import click

from newsletter.audience.lists import list_by_slug
from newsletter.clock import utc_now
from newsletter.compose.feeds import add_feed, feeds_of, fetch_due, read_now, remove_feed
from newsletter.db import get_engine, reading, transaction
from newsletter.dns import Dns
from newsletter.fetch import Fetcher
from newsletter.models import Feed, MailingList
from newsletter.settings import get_settings


@click.group()
def command() -> None:
    """Gather stories from other people's feeds."""


@command.command()
@click.argument("slug")
@click.argument("url")
def add(slug: str, url: str) -> None:
    """Have the list SLUG read the feed at URL: RSS, Atom or JSON Feed."""
    with transaction() as session:
        feed = add_feed(
            session, list_by_slug(session, slug).id, url, by=getpass.getuser(), now=utc_now()
        )
    click.echo(f"Feed {feed.id} is read by the workers; see: newsletter feed list")


@command.command("list")
def list_() -> None:
    """Show all feeds, and how reading them goes."""
    with reading() as session:
        feeds = feeds_of(session)
        slugs = {each.id: session.get_one(MailingList, each.list_id).slug for each in feeds}
    for feed in feeds:
        click.echo(f"{feed.id}: {slugs[feed.id]}  {feed.name or '-'}  {feed.url}  {_state(feed)}")
    if not feeds:
        click.echo("There is no feed yet; add one with: newsletter feed add")


@command.command()
@click.argument("feed_id", type=int)
def remove(feed_id: int) -> None:
    """Read a feed no more; what it brought stays in the inbox."""
    with transaction() as session:
        remove_feed(session, feed_id)
    click.echo(f"Feed {feed_id} is removed.")


@command.command()
@click.argument("slug")
def read(slug: str) -> None:
    """Read the feeds of the list SLUG now, here, without the workers."""
    with transaction() as session:
        list_id = list_by_slug(session, slug).id
        read_now(session, list_id, now=utc_now())
    fetcher = Fetcher.of(get_settings(), Dns())
    fetch_due(get_engine(), fetcher, clock=utc_now)
    with reading() as session:
        feeds = feeds_of(session, [list_id])
    for feed in feeds:
        click.echo(f"{feed.id}: {feed.url}  {_state(feed)}")


def _state(feed: Feed) -> str:
    if feed.error:
        return f"not read ({feed.failures}): {feed.error}"
    return f"read {_minute(feed.read_at)}" if feed.read_at else "not read yet"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}Z"

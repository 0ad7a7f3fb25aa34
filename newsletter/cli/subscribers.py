"""`newsletter subscriber …`: the people, one by one or page by page."""

import getpass
from collections.abc import Callable
from typing import Any, TypeVar, cast

import click
from sqlalchemy.orm import Session

from newsletter.audience.consent import remove_from_list, subscribe
from newsletter.audience.detail import subscriber_detail
from newsletter.audience.history import Origin
from newsletter.audience.lists import all_lists, list_by_slug
from newsletter.audience.sections import set_hidden_sections
from newsletter.audience.subscribers import (
    MOST_ON_A_PAGE,
    SubscriberChanges,
    SubscriberFields,
    add_subscriber,
    edit_subscriber,
    find_subscriber,
    list_subscribers,
)
from newsletter.audience.tags import read_tag, set_tags, tags_of
from newsletter.cli.output import json_option, write_json
from newsletter.cli.person import show_page, show_person
from newsletter.cli.signup import evidence_command, invite_command
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError
from newsletter.models import (
    ChangeCause,
    OptIn,
    Subscriber,
    SubscriptionStatus,
)

Command = TypeVar("Command", bound=Callable[..., Any])

PEOPLE_ON_A_PAGE = 100


def _field_options(command: Command) -> Command:
    options = {
        "--name": "As the greeting has it.",
        "--language": "Like en, zh or pt-BR.",
        "--zone": "Like Europe/Berlin.",
        "--delivery-time": "The hour they want, like 07:00, in their own zone.",
        "--break-until": "The first day on which they want mail again, like 2026-03-05.",
    }
    command = click.option(
        "--attribute", "attributes", multiple=True, help="KEY=VALUE; may be given again."
    )(command)
    for name, text in reversed(options.items()):
        command = click.option(name, help=text)(command)
    return command


@click.group()
def command() -> None:
    """Add people, show and change them, and stop mail to an address."""


command.add_command(evidence_command)
command.add_command(invite_command)


@command.command("add")
@click.argument("address")
@_field_options
@click.option("--list", "slugs", multiple=True, help="Subscribe them; may be given again.")
@click.option("--consent", help="How they agreed, like 'paper form of 5 March': confirms at once.")
@json_option
def add_command(
    address: str, slugs: tuple[str, ...], consent: str | None, as_json: bool, **fields: Any
) -> None:
    """Add the person at ADDRESS. On a list with double opt-in they stay pending without --consent."""
    with transaction() as session:
        person = add_subscriber(
            session,
            address,
            cast("SubscriberFields", _given(fields)),
            origin=_origin(),
            now=utc_now(),
        )
        _subscribe(session, person, slugs, consent)
        detail = subscriber_detail(session, person.id)
    show_person(detail, as_json=as_json)


@command.command("show")
@click.argument("who")
@json_option
def show_command(who: str, as_json: bool) -> None:
    """Show all that is known of WHO, an address or a number."""
    with reading() as session:
        detail = subscriber_detail(session, find_subscriber(session, who).id)
    show_person(detail, as_json=as_json)


@command.command("edit")
@click.argument("who")
@click.option("--address", help="Another address; number, lists and history stay.")
@_field_options
@click.option("--list", "slug", help="The list that --hide and --show-all are about.")
@click.option("--hide", "hidden", multiple=True, help="A section; those left out are shown.")
@click.option("--show-all", is_flag=True, help="Hide no section of the list.")
@json_option
def edit_command(
    who: str,
    slug: str | None,
    hidden: tuple[str, ...],
    show_all: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Change what is given of WHO, an address or a number; an empty value takes one away."""
    if bool(slug) != bool(hidden or show_all):
        raise InputError("name the --list together with --hide or --show-all", field="sections")
    origin, now = _origin(), utc_now()
    with transaction() as session:
        person = find_subscriber(session, who)
        changes = cast("SubscriberChanges", _given(fields))
        edit_subscriber(session, person.id, changes, origin=origin, now=now)
        if slug:
            mailing_list = list_by_slug(session, slug)
            set_hidden_sections(session, mailing_list, person.id, hidden, origin=origin, now=now)
        detail = subscriber_detail(session, person.id)
    show_person(detail, as_json=as_json)


@command.command("subscribe")
@click.argument("who")
@click.option("--list", "slugs", multiple=True, required=True, help="May be given again.")
@click.option("--consent", help="How they agreed, like 'paper form of 5 March': confirms at once.")
@json_option
def subscribe_command(who: str, slugs: tuple[str, ...], consent: str | None, as_json: bool) -> None:
    """Put WHO, an address or a number, on lists; nobody who left one is brought back."""
    with transaction() as session:
        person = find_subscriber(session, who)
        _subscribe(session, person, slugs, consent)
        detail = subscriber_detail(session, person.id)
    show_person(detail, as_json=as_json)


@command.command("unsubscribe")
@click.argument("who")
@click.option("--list", "slugs", multiple=True, help="May be given again; else every list.")
@json_option
def unsubscribe_command(who: str, slugs: tuple[str, ...], as_json: bool) -> None:
    """Take WHO, an address or a number, off lists; only they themselves can come back."""
    with transaction() as session:
        person = find_subscriber(session, who)
        lists = [list_by_slug(session, slug) for slug in slugs] or all_lists(session)
        for mailing_list in lists:
            remove_from_list(session, person, mailing_list, origin=_origin(), now=utc_now())
        detail = subscriber_detail(session, person.id)
    show_person(detail, as_json=as_json)


@command.command("tag")
@click.argument("who")
@click.option("--add", "added", multiple=True, help="A tag; may be given again.")
@click.option("--remove", "removed", multiple=True, help="A tag; may be given again.")
@json_option
def tag_command(who: str, added: tuple[str, ...], removed: tuple[str, ...], as_json: bool) -> None:
    """Put tags on WHO, an address or a number, and take some off; print those they have."""
    with transaction() as session:
        person = find_subscriber(session, who)
        wanted = {*tags_of(session, person.id), *map(read_tag, added)} - {*map(read_tag, removed)}
        tags = set_tags(session, person.id, wanted, origin=_origin(), now=utc_now())
    if as_json:
        write_json(tags)
    else:
        click.echo(", ".join(tags) or "-")


@command.command("list")
@click.option("--list", "slug", help="Only people of this list.")
@click.option(
    "--status",
    type=click.Choice([status.name.lower() for status in SubscriptionStatus]),
    help="Theirs on that list.",
)
@click.option("--tag", help="Only people with this tag.")
@click.option(
    "--after", default=0, type=click.IntRange(0, 2**63 - 1), help="Begin behind this number."
)
@click.option(
    "--limit", default=PEOPLE_ON_A_PAGE, show_default=True, type=click.IntRange(1, MOST_ON_A_PAGE)
)
@json_option
def list_command(
    slug: str | None, status: str | None, tag: str | None, after: int, limit: int, as_json: bool
) -> None:
    """Show people, page by page, in the order in which they came."""
    if status and not slug:
        raise InputError("it is a person's status on a list; name the --list too", field="status")
    with reading() as session:
        page = list_subscribers(
            session,
            list_id=list_by_slug(session, slug).id if slug else None,
            status=SubscriptionStatus[status.upper()] if status else None,
            tag=tag,
            after=after,
            limit=limit,
        )
    show_page(page, as_json=as_json)


def _origin() -> Origin:
    return Origin(ChangeCause.ADMIN, getpass.getuser(), "command line")


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given; `--attribute KEY=VALUE`s are one of them."""
    given = {field: value for field, value in fields.items() if value is not None}
    pairs = [text.partition("=") for text in given.pop("attributes", ())]
    if any(not separator for _, separator, _ in pairs):
        raise InputError("write it as KEY=VALUE", field="attribute")
    return given | ({"attributes": {key: value for key, _, value in pairs}} if pairs else {})


def _subscribe(
    session: Session, person: Subscriber, slugs: tuple[str, ...], consent: str | None
) -> None:
    for slug in slugs:
        mailing_list = list_by_slug(session, slug)
        is_confirmed = bool(consent) or mailing_list.opt_in is OptIn.SINGLE
        subscribe(
            session,
            person,
            mailing_list,
            SubscriptionStatus.CONFIRMED if is_confirmed else SubscriptionStatus.PENDING,
            origin=_origin(),
            evidence={"consent": consent} if consent else {},
            now=utc_now(),
        )

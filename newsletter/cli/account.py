"""`newsletter account …`: gives people access to the newsroom and the office, and takes it away."""

import getpass
from typing import Any

import click
from sqlalchemy.orm import Session

from newsletter.accounts import audit
from newsletter.accounts.links import make_link
from newsletter.accounts.people import (
    Rights,
    account_by_email,
    all_accounts,
    change_rights,
    create_account,
    disable_account,
    drop_second_factors,
    enable_account,
    rights_of,
    set_password,
    shut_out,
)
from newsletter.accounts.sessions import has_second_factor
from newsletter.audience.lists import all_lists, list_by_slug
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.errors import InputError, StateError
from newsletter.models import Account, LinkPurpose, Role
from newsletter.settings import get_settings
from newsletter.web.newsroom.account_mail import post_account_invitation

role_option = click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    help="What they may do on every list.",
)
list_option = click.option(
    "--list",
    "pairs",
    multiple=True,
    metavar="SLUG=ROLE",
    help="A role on this list alone; may be given again. Then they see no other list.",
)


@click.group()
def command() -> None:
    """Let people in, say what they may do, and shut them out."""


@command.command("create")
@click.argument("email")
@click.option("--name", required=True, help="As it stands beside what they do.")
@click.option("--admin", is_flag=True, help="The same as --role admin: for the first account.")
@role_option
@list_option
@click.option("--time-zone", default="UTC", show_default=True, help="Times are shown in it.")
@click.option(
    "--link",
    "wants_link",
    is_flag=True,
    help="Print a one-time link to choose the password by, instead of asking for it here.",
)
@json_option
def create_command(
    email: str,
    name: str,
    admin: bool,
    role: str | None,
    pairs: tuple[str, ...],
    time_zone: str,
    wants_link: bool,
    as_json: bool,
) -> None:
    """Make an account for EMAIL without any mail; the password is asked for on the terminal."""
    password = None if wants_link else _ask_password()
    now = utc_now()
    with transaction() as session:
        rights = _read_rights(session, Role.ADMIN.value if admin else role, pairs)
        account = create_account(
            session, email, name, rights, time_zone=time_zone, by=_who(), now=now
        )
        link = None
        if password is None:
            link = _link(session, account, LinkPurpose.INVITATION)
        else:
            set_password(session, account, password, now=now)
        _note(session, "account created", account, rights=_rights_as_json(session, account))
        shown = _as_json(session, account)
    if as_json:
        write_json(shown | {"link": link})
        return
    click.echo(link or f"{shown['email']} can sign in at {get_settings().base_url}/sign-in")


@command.command("invite")
@click.argument("email")
@click.option("--name", required=True, help="As it stands beside what they do.")
@role_option
@list_option
@json_option
def invite_command(
    email: str, name: str, role: str | None, pairs: tuple[str, ...], as_json: bool
) -> None:
    """Mail EMAIL an invitation, with a link that works once, for seven days."""
    now = utc_now()
    with transaction() as session:
        rights = _read_rights(session, role, pairs)
        account = create_account(session, email, name, rights, by=_who(), now=now)
        post_account_invitation(session, account, by=_who(), settings=get_settings(), now=now)
        _note(session, "account invited", account, rights=_rights_as_json(session, account))
        shown = _as_json(session, account)
    _say(shown, f"An invitation is on its way to {shown['email']}.", as_json)


@command.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """Show who has access, and to what."""
    with reading() as session:
        rows = [_as_json(session, each) for each in all_accounts(session)]
    if as_json:
        write_json(rows)
        return
    for row in rows:
        rights = row["role"] or ", ".join(f"{slug}={own}" for slug, own in row["lists"].items())
        second = ", second factor" if row["second_factor"] else ""
        click.echo(f"{row['email']}  {row['name']}  {rights}  {row['state']}{second}")
    if not rows:
        click.echo("Nobody has access yet; begin with: newsletter account create --admin")


@command.command("role")
@click.argument("email")
@role_option
@list_option
@json_option
def role_command(email: str, role: str | None, pairs: tuple[str, ...], as_json: bool) -> None:
    """Change what EMAIL may do: signs them out, and ends the API keys that they made."""
    with transaction() as session:
        account = account_by_email(session, email)
        before = _rights_as_json(session, account)
        change_rights(session, account.id, _read_rights(session, role, pairs), now=utc_now())
        after = _rights_as_json(session, account)
        _note(session, "rights changed", account, before=before, after=after)
        shown = _as_json(session, account)
    _say(shown, f"{shown['email']} has other rights now.", as_json)


@command.command("disable")
@click.argument("email")
@json_option
def disable_command(email: str, as_json: bool) -> None:
    """Shut EMAIL out at once: sessions and API keys end."""
    with transaction() as session:
        account = account_by_email(session, email)
        disable_account(session, account.id, now=utc_now())
        _note(session, "account disabled", account)
        shown = _as_json(session, account)
    _say(shown, f"{shown['email']} is shut out.", as_json)


@command.command("enable")
@click.argument("email")
@json_option
def enable_command(email: str, as_json: bool) -> None:
    """Let EMAIL in again, who was shut out."""
    with transaction() as session:
        account = account_by_email(session, email)
        enable_account(session, account.id)
        _note(session, "account enabled", account)
        shown = _as_json(session, account)
    _say(shown, f"{shown['email']} may sign in again.", as_json)


@command.command("reset")
@click.argument("email")
@click.option(
    "--second-factors", is_flag=True, help="Take their app, passkeys and codes away as well."
)
@json_option
def reset_command(email: str, second_factors: bool, as_json: bool) -> None:
    """Print a one-time link by which EMAIL chooses a new password; it works for an hour."""
    with transaction() as session:
        account = _able(session, email)
        if second_factors:
            drop_second_factors(session, account)
            shut_out(session, account.id, now=utc_now())
        link = _link(session, account, LinkPurpose.RESET)
        _note(session, "password reset by command", account, second_factors=second_factors)
        shown = _as_json(session, account)
    _say(shown | {"link": link}, link, as_json)


@command.command("one-time-link")
@click.argument("email")
@json_option
def one_time_link_command(email: str, as_json: bool) -> None:
    """Print a link that signs EMAIL in once, within an hour; a second factor is asked for still."""
    with transaction() as session:
        account = _able(session, email)
        link = _link(session, account, LinkPurpose.SIGN_IN)
        _note(session, "one-time link made", account)
        shown = _as_json(session, account)
    _say(shown | {"link": link}, link, as_json)


def _able(session: Session, email: str) -> Account:
    account = account_by_email(session, email)
    if account.disabled_at is not None:
        raise StateError(
            "{email} is shut out; first: newsletter account enable {email}", email=account.email
        )
    return account


def _ask_password() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


def _read_rights(session: Session, role: str | None, pairs: tuple[str, ...]) -> Rights:
    if (role is None) == (not pairs):
        raise InputError("give either --role, which holds on every list, or --list slug=role")
    if role is not None:
        return Rights(Role(role))
    list_roles = {}
    for pair in pairs:
        slug, _, own = pair.partition("=")
        if own not in set(Role):
            raise InputError(
                "--list {pair}: write it as slug=role, the role one of {roles}",
                pair=pair,
                roles=", ".join(Role),
            )
        list_roles[list_by_slug(session, slug).id] = Role(own)
    return Rights(list_roles=list_roles)


def _link(session: Session, account: Account, purpose: LinkPurpose) -> str:
    base_url = get_settings().base_url
    return make_link(session, account.id, purpose, base_url=base_url, now=utc_now())


def _note(session: Session, action: str, account: Account, **details: object) -> None:
    audit.record(
        session,
        actor=f"{_who()} (command line)",
        account_id=None,
        action=action,
        subject=account.email,
        details=details,
        now=utc_now(),
    )


def _who() -> str:
    return getpass.getuser()


def _say(shown: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        write_json(shown)
    else:
        click.echo(words)


def _rights_as_json(session: Session, account: Account) -> object:
    shown = _as_json(session, account)
    return shown["role"] or shown["lists"]


def _as_json(session: Session, account: Account) -> dict[str, Any]:
    slugs = {each.id: each.slug for each in all_lists(session)}
    rights = rights_of(session, account)
    narrowed = rights.list_roles
    state = "invited" if account.joined_at is None else "active"
    return {
        "email": account.email,
        "name": account.name,
        "role": rights.role.value if narrowed is None else None,
        "lists": {slugs[each]: own.value for each, own in (narrowed or {}).items()},
        "state": "disabled" if account.disabled_at else state,
        "second_factor": has_second_factor(session, account),
        "signed_in_at": account.signed_in_at.isoformat() if account.signed_in_at else None,
    }

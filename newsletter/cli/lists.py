"""`newsletter list …`: makes the lists that people subscribe to, changes and shows them."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import click

from newsletter.audience.lists import (
    ListChanges,
    NewList,
    all_lists,
    create_list,
    edit_list,
    list_by_slug,
    retire_list,
)
from newsletter.audience.preferences import leaving_reasons
from newsletter.audience.sections import (
    SectionChanges,
    add_section,
    edit_section,
    retire_section,
    sections_of,
)
from newsletter.cli.output import json_option, write_json
from newsletter.cli.signup import form_command
from newsletter.clock import utc_now
from newsletter.db import reading, transaction
from newsletter.models import (
    Archive,
    Font,
    ListSection,
    MailingList,
    OnUncertain,
    OptIn,
    Tracking,
)

Command = TypeVar("Command", bound=Callable[..., Any])

_TEXTS = {
    "tagline": "Under the masthead.",
    "description": "What a reader may expect, for the public pages.",
    "accent": "The colour of the masthead, like #0b57d0.",
    "backdrop": "The colour behind the letter, like #f2f0eb.",
    "footer": "At the foot of its letters.",
    "language": "Like en, zh or pt-BR.",
    "zone": "Like Europe/Berlin, for people whose own is unknown.",
    "reply-to": "Where replies go, if not to the sender.",
    "send-time": "When its readers usually get it, like 07:00.",
}
_APPROVED_BY = {None: "whom the installation says", True: "a second person", False: "anybody"}
_REQUIRED = {
    "name": "The masthead.",
    "sender-name": "Who the mail is from.",
    "sender-address": "The bare address it is from.",
    "postal-address": "On one line; the law wants it in each mail.",
}


def _field_options(*, is_new: bool) -> Callable[[Command], Command]:
    """The options of a list's fields; what is not given is not handed on."""

    def decorate(command: Command) -> Command:
        choices = {
            "heading-font": Font,
            "text-font": Font,
            "opt-in": OptIn,
            "tracking": Tracking,
            "on-uncertain": OnUncertain,
            "archive": Archive,
        }
        helps = {
            "heading-font": "Of its headings, where the reader has it.",
            "text-font": "Of its text.",
            "archive": "Past editions on the web: public, unlisted (no search engines) or off.",
            "opt-in": "double: a new reader confirms by mail first.",
            "tracking": "full, anonymous (counts without names) or off.",
            "on-uncertain": "hold a delivery in doubt, or resend it.",
        }
        options = [
            *(
                click.option(f"--{name}", help=text, required=is_new)
                for name, text in _REQUIRED.items()
            ),
            *(click.option(f"--{name}", help=text) for name, text in _TEXTS.items()),
            *(
                click.option(
                    f"--{name}", help=helps[name], type=click.Choice([each.value for each in kind])
                )
                for name, kind in choices.items()
            ),
            click.option(
                "--most-a-day",
                type=int,
                help="Not to whoever was sent so many editions of any list today; 0: to everybody.",
            ),
            click.option(
                "--four-eyes/--own-eyes",
                "four_eyes",
                default=None,
                help="Must a second person approve? As the installation has it if not given.",
            ),
            click.option(
                "--cool-off-seconds",
                type=int,
                help="In which a sending at once can be pulled back, up to 3600.",
            ),
            click.option(
                "--public/--private", "is_public", default=None, help="May strangers sign up?"
            ),
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.group()
def command() -> None:
    """Make lists and their sections, change and show them."""


@command.command("create")
@click.argument("slug")
@_field_options(is_new=True)
@json_option
def create_command(slug: str, as_json: bool, **fields: Any) -> None:
    """Make the list SLUG (a-z, 0-9 and -); the slug stays for good."""
    with transaction() as session:
        made = create_list(session, NewList(slug=slug, **_given(fields)), now=utc_now())
    _show(made, as_json)


@command.command("edit")
@click.argument("slug")
@_field_options(is_new=False)
@json_option
def edit_command(slug: str, as_json: bool, **fields: Any) -> None:
    """Change what is given of the list SLUG; editions that are approved already stay as they are."""
    with transaction() as session:
        edited = edit_list(session, slug, cast("ListChanges", _given(fields)))
    _show(edited, as_json)


@command.command("retire")
@click.argument("slug")
@json_option
def retire_command(slug: str, as_json: bool) -> None:
    """Take no new people and no new editions on the list SLUG; links in its mail still work."""
    with transaction() as session:
        retired = retire_list(session, slug, now=utc_now())
    _show(retired, as_json)


@command.command("show")
@click.argument("slug", required=False)
@json_option
def show_command(slug: str | None, as_json: bool) -> None:
    """Show the list SLUG, or name all lists."""
    with reading() as session:
        if slug is not None:
            _show(list_by_slug(session, slug), as_json)
            return
        lists = all_lists(session)
    if as_json:
        write_json([list_as_json(each) for each in lists])
        return
    for each in lists:
        click.echo(f"{each.slug}  {each.name}{'' if each.retired_at is None else '  (retired)'}")
    if not lists:
        click.echo("There is no list yet; make one with: newsletter list create")


@command.command("reasons")
@click.argument("slug")
@json_option
def reasons_command(slug: str, as_json: bool) -> None:
    """Count why people left the list SLUG, of those who said so."""
    with reading() as session:
        found = leaving_reasons(session, list_by_slug(session, slug).id)
    reasons = {reason.name.lower(): people for reason, people in found.items()}
    if as_json:
        write_json(reasons)
        return
    for name, people in reasons.items():
        click.echo(f"{people:>9,}  {name.replace('_', ' ')}")
    if not reasons:
        click.echo(f"Nobody who left {slug} has said why.")


command.add_command(form_command)


@command.group("section")
def section() -> None:
    """The sections of a list: what a briefing's headings mean, and what readers may hide."""


@section.command("add")
@click.argument("slug")
@click.argument("key")
@click.option("--name", required=True, help="As readers see it; a heading that means the section.")
@click.option("--alias", "aliases", multiple=True, help="Another heading; may be given again.")
@click.option("--pinned", "is_pinned", is_flag=True, help="In everybody's mail: cannot be hidden.")
@json_option
def add_section_command(
    slug: str, key: str, name: str, aliases: tuple[str, ...], is_pinned: bool, as_json: bool
) -> None:
    """Give the list SLUG the section KEY (a-z, 0-9 and -); the key stays for good."""
    with transaction() as session:
        added = add_section(
            session,
            list_by_slug(session, slug),
            key,
            name=name,
            aliases=aliases,
            is_pinned=is_pinned,
        )
    _show_sections([added], as_json=as_json)


@section.command("edit")
@click.argument("slug")
@click.argument("key")
@click.option("--name", help="As readers see it.")
@click.option("--alias", "aliases", multiple=True, help="All of them: those left out are gone.")
@click.option("--no-aliases", is_flag=True, help="Only the name is a heading of it.")
@click.option("--pinned/--not-pinned", "is_pinned", default=None, help="Can nobody hide it?")
@click.option("--position", type=click.IntRange(min=1), help="Its place among the sections.")
@json_option
def edit_section_command(
    slug: str,
    key: str,
    aliases: tuple[str, ...],
    no_aliases: bool,
    as_json: bool,
    **fields: Any,
) -> None:
    """Change what is given of the section KEY of the list SLUG."""
    changes = _given(fields | {"aliases": aliases if aliases or no_aliases else None})
    with transaction() as session:
        edited = edit_section(
            session, list_by_slug(session, slug), key, cast("SectionChanges", changes)
        )
    _show_sections([edited], as_json=as_json)


@section.command("retire")
@click.argument("slug")
@click.argument("key")
@json_option
def retire_section_command(slug: str, key: str, as_json: bool) -> None:
    """Let its headings be like any other: everybody gets what stands under them."""
    with transaction() as session:
        retired = retire_section(session, list_by_slug(session, slug), key, now=utc_now())
    _show_sections([retired], as_json=as_json)


@section.command("list")
@click.argument("slug")
@json_option
def list_sections_command(slug: str, as_json: bool) -> None:
    """Show the sections of the list SLUG, in the order of the preferences page."""
    with reading() as session:
        sections = sections_of(session, list_by_slug(session, slug).id)
    _show_sections(sections, as_json=as_json)
    if not sections and not as_json:
        click.echo(f"{slug} has no sections; make one with: newsletter list section add")


def list_as_json(shown: MailingList) -> dict[str, Any]:
    return {
        "slug": shown.slug,
        "name": shown.name,
        "tagline": shown.tagline,
        "description": shown.description,
        "accent": shown.accent,
        "language": shown.language,
        "zone": shown.zone,
        "sender_name": shown.sender_name,
        "sender_address": shown.sender_address,
        "reply_to": shown.reply_to,
        "postal_address": shown.postal_address,
        "opt_in": shown.opt_in,
        "is_public": shown.is_public,
        "send_time": f"{shown.send_time:%H:%M}" if shown.send_time else None,
        "tracking": shown.tracking,
        "on_uncertain": shown.on_uncertain,
        "archive": shown.archive,
        "backdrop": shown.backdrop,
        "heading_font": shown.heading_font,
        "text_font": shown.text_font,
        "footer": shown.footer,
        "four_eyes": shown.four_eyes,
        "cool_off_seconds": shown.cool_off_seconds,
        "most_a_day": shown.most_a_day,
        "created_at": shown.created_at.isoformat(),
        "retired_at": shown.retired_at.isoformat() if shown.retired_at else None,
    }


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    kinds: dict[str, Callable[[str], object]] = {
        "heading_font": Font,
        "text_font": Font,
        "opt_in": OptIn,
        "tracking": Tracking,
        "on_uncertain": OnUncertain,
        "archive": Archive,
    }
    return {
        field: kinds[field](value) if field in kinds else value
        for field, value in fields.items()
        if value is not None
    }


def _show(shown: MailingList, as_json: bool) -> None:
    if as_json:
        write_json(list_as_json(shown))
        return
    rows = {
        "list": shown.slug,
        "name": shown.name,
        "tagline": shown.tagline or "-",
        "description": shown.description or "-",
        "from": f"{shown.sender_name} <{shown.sender_address}>",
        "replies to": shown.reply_to or shown.sender_address,
        "postal address": shown.postal_address,
        "language": shown.language,
        "zone": shown.zone,
        "usually at": f"{shown.send_time:%H:%M}" if shown.send_time else "-",
        "accent": f"{shown.accent} on {shown.backdrop}",
        "fonts": f"{shown.heading_font}, {shown.text_font}",
        "footer": shown.footer.replace("\n", " / ") or "-",
        "archive": shown.archive.value,
        "approved by": _APPROVED_BY[shown.four_eyes],
        "open to": "everybody" if shown.is_public else "nobody by themselves",
        "opt-in": shown.opt_in.value,
        "tracking": shown.tracking.value,
        "in doubt": shown.on_uncertain.value,
        "most a day": shown.most_a_day or "-",
    }
    if shown.retired_at is not None:
        rows["retired"] = f"{shown.retired_at:%Y-%m-%d}"
    for label, value in rows.items():
        click.echo(f"{label:<15} {value}")


def _show_sections(sections: list[ListSection], *, as_json: bool) -> None:
    if as_json:
        write_json([_section_as_json(each) for each in sections])
        return
    for each in sections:
        notes = [*(["pinned"] if each.is_pinned else []), *(["retired"] if each.retired_at else [])]
        aliases = f"  also: {', '.join(each.aliases)}" if each.aliases else ""
        note = f"  ({', '.join(notes)})" if notes else ""
        click.echo(f"{each.key:<20} {each.name}{aliases}{note}")


def _section_as_json(shown: ListSection) -> dict[str, Any]:
    return {
        "key": shown.key,
        "name": shown.name,
        "aliases": shown.aliases,
        "is_pinned": shown.is_pinned,
        "position": shown.position,
        "retired_at": shown.retired_at.isoformat() if shown.retired_at else None,
    }

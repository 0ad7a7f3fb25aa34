"""`newsletter edition check`, `acknowledge`, `submit`, `withdraw`, `comment` …: before an approval."""

import getpass

import click

from newsletter.checks.acknowledging import acknowledge as put_up_with
from newsletter.checks.acknowledging import acknowledged_in, fingerprint
from newsletter.cli.output import json_option, write_json
from newsletter.clock import utc_now
from newsletter.compose.findings import Finding
from newsletter.db import reading, transaction
from newsletter.models import Comment, ReviewEnd
from newsletter.plan.approval import blocking, check_edition
from newsletter.plan.drafts import cut_revision
from newsletter.plan.review import (
    add_comment,
    comments_of,
    end_review,
    resolve_comment,
    submit_edition,
)
from newsletter.plan.stored import get_edition
from newsletter.settings import get_settings


@click.command()
@click.argument("edition_id", type=int)
@json_option
@click.pass_context
def check(context: click.Context, edition_id: int, *, as_json: bool) -> None:
    """Freeze the draft as it stands and run the checks; exit code 1 if an error is in the way."""
    settings, now = get_settings(), utc_now()
    with transaction() as session:
        cut_revision(session, edition_id, settings=settings, by=getpass.getuser(), now=now)
        findings = check_edition(session, edition_id, settings=settings, now=now)
        errors = blocking(session, get_edition(session, edition_id), findings)
        known = acknowledged_in(session, edition_id)
    if as_json:
        write_json([_as_json(each, fingerprint(each) in known) for each in findings])
    for each in () if as_json else findings:
        mark = " (acknowledged)" if fingerprint(each) in known else ""
        click.echo(f"{each.severity} {each.code}: {each.message}{mark}")
    if not findings and not as_json:
        click.echo(f"The checks found nothing in edition {edition_id}.")
    if errors:
        context.exit(1)


@click.command()
@click.argument("edition_id", type=int)
@click.argument("codes", nargs=-1, required=True)
def acknowledge(edition_id: int, codes: tuple[str, ...]) -> None:
    """Say that you know about warnings, by their codes; what they say may change, and counts then."""
    settings, now = get_settings(), utc_now()
    with transaction() as session:
        findings = check_edition(session, edition_id, settings=settings, now=now)
        meant = [
            each
            for code in codes
            for each in put_up_with(
                session, edition_id, code, findings=findings, by=getpass.getuser(), now=now
            )
        ]
    for each in meant:
        click.echo(f"acknowledged {each.code}: {each.message}")


@click.command()
@click.argument("edition_id", type=int)
@click.option("--note", default="", help="What they should look at.")
def submit(edition_id: int, note: str) -> None:
    """Ask that a draft be reviewed and approved."""
    with transaction() as session:
        review = submit_edition(
            session,
            edition_id,
            note=note,
            by=getpass.getuser(),
            settings=get_settings(),
            now=utc_now(),
        )
    click.echo(f"Edition {edition_id}, revision {review.revision}, waits for its review.")


@click.command()
@click.argument("edition_id", type=int)
@click.option("--return", "returns", is_flag=True, help="You looked at it and want changes.")
def withdraw(edition_id: int, *, returns: bool) -> None:
    """End a review: the edition is a draft again."""
    end = ReviewEnd.RETURNED if returns else ReviewEnd.WITHDRAWN
    with transaction() as session:
        end_review(session, edition_id, end, by=getpass.getuser(), now=utc_now())
    click.echo(f"Edition {edition_id} is a draft again.")


@click.command()
@click.argument("edition_id", type=int)
@click.argument("text")
@click.option("--story", type=int, help="The story it is about, counted from 1; else all of it.")
def comment(edition_id: int, text: str, story: int | None) -> None:
    """Comment on an edition or one of its stories."""
    with transaction() as session:
        made = add_comment(
            session, edition_id, text, story=story, by=getpass.getuser(), now=utc_now()
        )
    click.echo(made.id)


@click.command()
@click.argument("edition_id", type=int)
@json_option
def comments(edition_id: int, *, as_json: bool) -> None:
    """Show the comments on an edition."""
    with reading() as session:
        found = comments_of(session, edition_id)
    if as_json:
        write_json([_comment_as_json(each) for each in found])
        return
    for each in found:
        about = f" on “{each.headline}”" if each.headline else ""
        state = f" (resolved by {each.resolved_by})" if each.resolved_at else ""
        click.echo(f"{each.id}  {each.at:%Y-%m-%d %H:%M}Z  {each.by}{about}{state}: {each.text}")
    if not found:
        click.echo(f"Nobody has commented on edition {edition_id}.")


@click.command()
@click.argument("edition_id", type=int)
@click.argument("comment_id", type=int)
def resolve(edition_id: int, comment_id: int) -> None:
    """Mark a comment as resolved."""
    with transaction() as session:
        resolve_comment(session, edition_id, comment_id, by=getpass.getuser(), now=utc_now())
    click.echo(f"Comment {comment_id} is resolved.")


COMMANDS = (check, acknowledge, submit, withdraw, comment, comments, resolve)


def _as_json(finding: Finding, is_acknowledged: bool) -> dict[str, object]:
    return {
        "severity": finding.severity.value,
        "code": finding.code,
        "message": finding.message,
        "line": finding.line,
        "column": finding.column,
        "acknowledged": is_acknowledged,
    }


def _comment_as_json(each: Comment) -> dict[str, object]:
    return {
        "id": each.id,
        "story": each.headline,
        "text": each.text,
        "by": each.by,
        "at": each.at.isoformat(),
        "resolved_by": each.resolved_by,
    }

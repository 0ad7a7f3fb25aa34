"""`newsletter edition`: from a briefing's text to a sent edition, and its figures."""

import getpass
import json
from dataclasses import replace
from pathlib import Path
from typing import TextIO

import click

from newsletter.audience.lists import list_by_slug
from newsletter.cli.edition_audience import audience, describe_use
from newsletter.cli.edition_review import COMMANDS as REVIEW_COMMANDS
from newsletter.cli.edition_schedule import send, unschedule, waves
from newsletter.cli.output import write_json
from newsletter.cli.test_sends import test
from newsletter.clock import utc_now
from newsletter.compose.findings import Finding
from newsletter.db import reading, transaction
from newsletter.deliver.relay_log import settle_by_relay_log
from newsletter.deliver.settling import send_again, settle_by_evidence
from newsletter.errors import InputError
from newsletter.models import Evidence, Tracking
from newsletter.plan import approval, editions, schedule
from newsletter.plan.audience import choose_audience
from newsletter.plan.correcting import note_correction, open_correction_mail
from newsletter.plan.drafts import cut_revision, draft_of
from newsletter.plan.marks import marks_of
from newsletter.plan.stored import find_edition, lists_of
from newsletter.report.doubts import (
    Doubt,
    everybody_in_doubt,
    people_in_doubt,
    uncertain_deliveries,
)
from newsletter.report.editions import EditionStatus, edition_status
from newsletter.settings import get_settings

BRIEFING = click.Path(exists=True, dir_okay=False, path_type=Path)


_COUNTED = {
    Tracking.ANONYMOUS: "opens and clicks are counted there, and nobody knows whose",
    Tracking.OFF: "nobody's opens and clicks are counted there",
}


@click.group()
def command() -> None:
    """Create, approve, send and watch editions."""


command.add_command(test)
command.add_command(audience)
command.add_command(send)
command.add_command(waves)
command.add_command(unschedule)
for each in REVIEW_COMMANDS:
    command.add_command(each)


@command.command()
@click.argument("file", type=BRIEFING)
@click.option("--list", "slugs", multiple=True, required=True, help="Slug; may be given again.")
@click.option("--subject", help="Instead of the briefing's title.")
@click.option("--preheader", help="Instead of the key points.")
@click.option("--segment", help="Only these people of its lists; the name of a segment.")
@click.option("--exclude", "exclusions", multiple=True, help="Not them; may be given again.")
def create(
    file: Path,
    slugs: tuple[str, ...],
    subject: str | None,
    preheader: str | None,
    segment: str | None,
    exclusions: tuple[str, ...],
) -> None:
    """Make a draft edition of a briefing's text and print its number."""
    content = _read_content(file, subject=subject, preheader=preheader)
    with transaction() as session:
        edition = editions.create_edition(
            session,
            content,
            lists=[list_by_slug(session, slug) for slug in slugs],
            settings=get_settings(),
            created_by=getpass.getuser(),
            now=utc_now(),
        )
        choose_audience(session, edition.id, audience=segment, exclusions=exclusions)
    click.echo(edition.id)


@command.command()
@click.argument("edition_id", type=int)
@click.argument("file", type=BRIEFING)
@click.option("--subject", help="Instead of the briefing's title.")
@click.option("--preheader", help="Instead of the key points.")
def revise(edition_id: int, file: Path, subject: str | None, preheader: str | None) -> None:
    """Replace an edition's content; an approval it had is void."""
    content = _read_content(file, subject=subject, preheader=preheader)
    with transaction() as session:
        edition = editions.revise_edition(
            session,
            edition_id,
            content,
            settings=get_settings(),
            revised_by=getpass.getuser(),
            now=utc_now(),
        )
    click.echo(f"Edition {edition_id} is a draft with revision {edition.revision}.")


@command.command()
@click.argument("edition_id", type=int)
@click.option("--hash", "expected_hash", help="Only if it is this still, as `show` prints it.")
@click.option("--in-spite-of-errors", "reason", metavar="REASON", help="Let the errors pass.")
def approve(edition_id: int, expected_hash: str | None, reason: str | None) -> None:
    """Run the checks and, if none finds an error, approve what the draft says."""
    by, settings, now = getpass.getuser(), get_settings(), utc_now()
    with transaction() as session:
        if reason is not None:
            cut_revision(session, edition_id, settings=settings, by=by, now=now)
            approval.let_errors_pass(
                session, edition_id, reason=reason, by=by, settings=settings, now=now
            )
        approved = approval.approve_edition(
            session,
            edition_id,
            approved_by=by,
            settings=settings,
            now=now,
            expected_hash=expected_hash,
        )
    _show(approved.findings)
    click.echo(
        f"Edition {edition_id}, revision {approved.revision} ({approved.content_hash[:12]}) is "
        f"approved: {approved.people} people on its lists, through {approved.transport}."
    )
    for used in approved.segments:
        click.echo(f"  {describe_use(used)}")


@command.command()
@click.argument("edition_id", type=int)
def unapprove(edition_id: int) -> None:
    """Withdraw an approval; the edition is a draft again."""
    with transaction() as session:
        approval.withdraw_approval(session, edition_id)
    click.echo(f"Edition {edition_id} is a draft again.")


@command.command()
@click.argument("edition_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(edition_id: int, as_json: bool) -> None:
    """Show what an edition says at the moment, how it stands, and the hash that an approval names."""
    with reading() as session:
        edition = find_edition(session, edition_id)
        draft, marks = draft_of(session, edition_id), marks_of(session, edition)
        shown = {
            "edition": edition_id,
            "state": edition.state.words,
            "subject": draft.content.subject_line,
            "revision": edition.revision,
            "changed since": marks.is_ahead,
            "changed by": marks.changed_by,
            "tested": marks.test is not None,
            "review asked by": marks.review.asked_by if marks.review else None,
            "approved by": marks.approval.by if marks.approval else None,
            "void approval by": marks.void_approval.by if marks.void_approval else None,
            "hash": approval.hash_to_approve(session, edition) if edition.revision else None,
        }
    if as_json:
        write_json({name.replace(" ", "_"): value for name, value in shown.items()})
        return
    for name, value in shown.items():
        click.echo(f"{name:<17}{_word(value)}")


@command.command("correction-mail")
@click.argument("edition_id", type=int)
def correction_mail(edition_id: int) -> None:
    """Draft an edition for those alone who were sent this one uncorrected; print its number."""
    with transaction() as session:
        made = open_correction_mail(session, edition_id, by=getpass.getuser(), now=utc_now())
    click.echo(made.id)


@command.command()
@click.argument("edition_id", type=int)
def pause(edition_id: int) -> None:
    """Stop sending within seconds; nobody is left half mailed."""
    with transaction() as session:
        schedule.pause(session, edition_id)
    click.echo(f"Edition {edition_id} is paused.")


@command.command()
@click.argument("edition_id", type=int)
def resume(edition_id: int) -> None:
    """Go on sending a paused edition."""
    with transaction() as session:
        schedule.resume(session, edition_id)
    click.echo(f"Edition {edition_id} goes on.")


@command.command()
@click.argument("edition_id", type=int)
@click.confirmation_option(prompt="Nobody who was not mailed yet will be. Cancel the edition?")
def cancel(edition_id: int) -> None:
    """End an edition for good."""
    with transaction() as session:
        schedule.cancel(session, edition_id)
    click.echo(f"Edition {edition_id} is cancelled.")


@command.command()
@click.argument("edition_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(edition_id: int, as_json: bool) -> None:
    """Show what became of everybody whom an edition was planned for."""
    with reading() as session:
        current = edition_status(session, edition_id)
        tracking = {each.slug: each.tracking for each in lists_of(session, edition_id)}
    if as_json:
        found = current.to_json() | {"tracking": tracking}
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    click.echo(describe(current))
    for slug, how in tracking.items():
        if how is not Tracking.FULL:
            click.echo(f"  {slug}: {_COUNTED[how]}")


@command.command()
@click.argument("edition_id", type=int)
@click.argument("file", type=BRIEFING, required=False)
@click.option("--subject", help="Instead of the briefing's title.")
@click.option("--preheader", help="Instead of the key points.")
@click.option("--note", help="What it puts right, for the edition's page.")
@click.option("--drop", is_flag=True, help="Withdraw the correction that waits for approval.")
def correct(
    edition_id: int,
    file: Path | None,
    subject: str | None,
    preheader: str | None,
    note: str | None,
    *,
    drop: bool,
) -> None:
    """Correct an edition that is being sent, for all who have not been mailed."""
    if drop is (file is not None):
        raise InputError("Name the file with the corrected text, or say --drop; one of the two.")
    if file is None:
        with transaction() as session:
            editions.drop_correction(session, edition_id)
        click.echo(f"Edition {edition_id} has no correction any more.")
        return
    content = _read_content(file, subject=subject, preheader=preheader)
    with transaction() as session:
        edition = editions.correct_edition(
            session,
            edition_id,
            content,
            settings=get_settings(),
            corrected_by=getpass.getuser(),
            now=utc_now(),
        )
        if note is not None:
            note_correction(session, edition_id, note, by=getpass.getuser(), now=utc_now())
    click.echo(
        f"Edition {edition_id} has revision {edition.revision} as a correction; "
        f"revision {edition.approved_revision} is sent until you approve it."
    )


@command.command()
@click.argument("edition_id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
@click.option("--sent", multiple=True, metavar="ADDRESS", help="It arrived; may be given again.")
@click.option("--all-sent", is_flag=True, help="All of them arrived.")
@click.option("--resend", multiple=True, metavar="ADDRESS", help="Mail them once more.")
@click.option("--all-resend", is_flag=True, help="Mail all of them once more.")
@click.option(
    "--relay-log",
    type=click.File(encoding="utf-8", errors="replace"),
    help="A mail log of the relay's; whoever it names as taken was sent. - is standard input.",
)
def uncertain(
    edition_id: int,
    sent: tuple[str, ...],
    resend: tuple[str, ...],
    relay_log: TextIO | None,
    *,
    as_json: bool,
    all_sent: bool,
    all_resend: bool,
) -> None:
    """Name the people of whom nobody knows whether their mail arrived, or settle it."""
    if all_sent and all_resend:
        raise InputError("--all-sent and --all-resend contradict each other; choose one.")
    by, now = getpass.getuser(), utc_now()
    with transaction() as session:
        # What the log says comes before what a person believes, and a name before "all".
        if relay_log is not None:
            settle_by_relay_log(
                session, edition_id, relay_log, settings=get_settings(), at=now, by=by
            )
        arrived = people_in_doubt(session, edition_id, sent)
        again = people_in_doubt(session, edition_id, resend)
        if set(arrived) & set(again):
            raise InputError(
                "--sent and --resend contradict each other about an address; choose one."
            )
        settle_by_evidence(session, edition_id, arrived, Evidence.PERSON, now, by=by)
        send_again(session, edition_id, again, Evidence.PERSON, now, by=by)
        if all_sent or all_resend:
            settle = settle_by_evidence if all_sent else send_again
            others = everybody_in_doubt(session, edition_id)
            settle(session, edition_id, others, Evidence.PERSON, now, by=by)
        doubts = uncertain_deliveries(session, edition_id)
    _show_doubts(edition_id, doubts, as_json=as_json)


def _word(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def describe(status: EditionStatus) -> str:
    """The figures of an edition as lines for a person."""
    excluded = sum(status.excluded.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in status.excluded.items())
    rows = [
        ("planned", status.planned, "" if status.is_planned else "and counting"),
        ("sent", status.sent, ""),
        ("excluded", excluded, reasons),
        ("failed", status.failed, ""),
        ("uncertain", status.uncertain, "went out, but no answer came" if status.uncertain else ""),
        ("cancelled", status.cancelled, ""),
        ("deferred", status.deferred, ""),
        ("waiting", status.waiting, ""),
        ("opens", status.opens, ""),
        ("clicks", status.clicks, ""),
        ("unsubscribes", status.unsubscribes, ""),
    ]
    lines = [f"Edition {status.edition_id}: {status.state}"]
    lines += [f"  {name:<13}{count:>9,}  {note}".rstrip() for name, count, note in rows]
    return "\n".join(lines)


def _read_content(file: Path, *, subject: str | None, preheader: str | None) -> editions.Content:
    try:
        content, findings = editions.read_content(file.read_bytes(), today=utc_now().date())
    except editions.UnfitBriefing as unfit:
        _show(unfit.findings)
        raise InputError(
            "{file} holds no briefing that can be sent; see the errors above.", file=file
        ) from unfit
    _show(findings)
    return replace(
        content, subject=subject or content.subject, preheader=preheader or content.preheader
    )


def _show_doubts(edition_id: int, doubts: list[Doubt], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([doubt.to_json() for doubt in doubts]))
        return
    for doubt in doubts:
        click.echo(f"{doubt.at:%Y-%m-%d %H:%M:%S}Z  {doubt.address}  {doubt.reason.name.lower()}")
    if not doubts:
        click.echo(f"Nobody of edition {edition_id} is in doubt.")


def _show(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        place = f"{finding.line}:{finding.column} " if finding.line else ""
        click.echo(f"{place}{finding.severity} {finding.code}: {finding.message}", err=True)

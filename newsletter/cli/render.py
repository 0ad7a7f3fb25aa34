"""`newsletter render`: see what a briefing looks like as a mail, without any list or database."""

from pathlib import Path

import click

from newsletter.checks.draft import Draft, make_draft
from newsletter.checks.registry import run_checks
from newsletter.clock import utc_now
from newsletter.compose.findings import Finding, Severity
from newsletter.compose.parser import read_briefing
from newsletter.compose.preheader import preheader_of
from newsletter.render.compile import compile_edition
from newsletter.render.masthead import Masthead
from newsletter.settings import get_settings
from newsletter.tokens import Tokens

EXIT_FINDINGS = 1

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.HINT: "cyan"}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", default="The Morning Brief", show_default=True, help="The list's name.")
@click.option("--tagline", default="The news before breakfast", show_default=True)
@click.option("--accent", default="#1d4e89", show_default=True, help="The list's colour.")
@click.option("--subject", help="The subject; the briefing's title if left out.")
def command(
    file: Path, out: Path, name: str, tagline: str, accent: str, subject: str | None
) -> None:
    """Render FILE for an example reader: edition.html, edition.txt and edition.eml in --out.

    Exits with 1 if there is anything that would block the sending.
    """
    now = utc_now()
    parsed = read_briefing(_read(file), today=now.date())
    findings = list(parsed.findings)
    if parsed.briefing is not None:
        masthead = _sample_masthead(name, tagline=tagline, accent=accent)
        compiled = compile_edition(
            parsed.briefing,
            masthead,
            edition_id=1,
            public_id="example",
            subject=subject or parsed.briefing.title,
            preheader=preheader_of(parsed.briefing),
        )
        tokens = Tokens(get_settings().secret_keys)
        draft = make_draft(parsed.briefing, compiled, tokens=tokens, date=now)
        findings = run_checks(draft, read=parsed.findings)
        _write(draft, out)
    for finding in findings:
        _show(finding)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise SystemExit(EXIT_FINDINGS)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"cannot read {file}: {error.strerror}"
        raise click.UsageError(message) from error


def _sample_masthead(name: str, *, tagline: str, accent: str) -> Masthead:
    return Masthead(
        list_id=1,
        slug="example",
        name=name,
        tagline=tagline or None,
        accent=accent,
        sender_name=name,
        sender_address="brief@mail.example.org",
        postal_address="Example News\n1 Press Lane\nLondon EC4",
        mail_domain="mail.example.org",
        base_url="https://news.example.org",
    )


def _write(draft: Draft, out: Path) -> None:
    sample = draft.samples[0]
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "edition.html").write_text(sample.html, encoding="utf-8")
        (out / "edition.txt").write_text(sample.text, encoding="utf-8")
        (out / "edition.eml").write_bytes(sample.raw)
    except OSError as error:
        message = f"cannot write to {out}: {error.strerror}"
        raise click.UsageError(message) from error
    click.echo(f"edition.html {len(sample.html.encode()):>8} bytes")
    click.echo(f"edition.txt  {len(sample.text.encode()):>8} bytes")
    click.echo(f"edition.eml  {len(sample.raw):>8} bytes, {len(draft.compiled.links)} links")


def _show(finding: Finding) -> None:
    severity = click.style(finding.severity, fg=_COLOURS[finding.severity], bold=True)
    place = f"line {finding.line}, column {finding.column}: " if finding.line else ""
    click.echo(f"{severity} {finding.code}: {place}{finding.message}", err=True)

"""`newsletter bench`: what sending, importing and exporting cost on this machine."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from newsletter.bench.exports import measure_export
from newsletter.bench.import_walk import walk_through_import
from newsletter.bench.imports import measure_import
from newsletter.bench.others import Server
from newsletter.bench.pages import Pages, time_pages
from newsletter.bench.segments import measure_segments
from newsletter.bench.send import Compared, Figures, Plan, Result, measure
from newsletter.db import get_engine
from newsletter.settings import get_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def _server(_context: click.Context, _option: click.Parameter, text: str | None) -> Server | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 65536):
        message = f"{text} is no server: write it as 127.0.0.1:2525."
        raise click.BadParameter(message)
    return Server(host, int(port))


@click.group()
def command() -> None:
    """Measure this installation's speed."""


@command.command()
@click.option("--store", type=click.Choice(["postgres", "sqlite"]), default="postgres")
@click.option("--readers", default=20_000, show_default=True, type=click.IntRange(100))
@click.option(
    "--size", "size_bytes", default=43_000, show_default=True, help="Of a message, bytes."
)
@click.option("--links", default=45, show_default=True, type=click.IntRange(1, 200))
@click.option(
    "--dkim",
    type=click.Choice(["none", "rsa", "ed25519"]),
    default="none",
    show_default=True,
    help="ed25519 is a second signature beside the RSA one.",
)
@click.option("--latency", "latency_ms", default=0.0, help="Simulated round trip, milliseconds.")
@click.option("--workers", default=1, show_default=True, help="Processes that deliver.")
@click.option("--connections", default=10, show_default=True, help="Of each worker process.")
@click.option("--runs", default=5, show_default=True, help="Interleaved; medians are shown.")
@click.option(
    "--reference-messages", default=2_000, show_default=True, help="By each other sender."
)
@click.option(
    "--peer", metavar="HOST:PORT", callback=_server, help="An SMTP server that runs already."
)
@click.option(
    "--smtp-source",
    type=click.Path(exists=True, dir_okay=False),
    help="Postfix's program, if it is not installed where it usually is.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def send(as_json: bool, **plan: object) -> None:
    """Send editions through real workers into a real SMTP server, and compare with other senders.

    Everything is started for it and ends with it; PostgreSQL writes to disk as in earnest.
    """
    if plan["peer"] and plan["latency_ms"]:
        message = "--latency is our own server's: leave it out with --peer."
        raise click.UsageError(message)
    result = measure(Plan(**plan), tell=lambda text: click.echo(text, err=True))  # type: ignore[arg-type]
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    _show(result)


def _rows_options(command: Command) -> Command:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
        click.option("--store", type=click.Choice(["postgres", "sqlite"]), default="postgres"),
        click.option("--rows", default=100_000, show_default=True, type=click.IntRange(100)),
    ):
        command = option(command)
    return command


@command.command("import")
@_rows_options
@click.option(
    "--kill",
    "is_killed",
    is_flag=True,
    help="Instead: kill it at half, go on, import again, and count who may be mailed.",
)
def import_command(rows: int, store: str, is_killed: bool, as_json: bool) -> None:
    """Import a file twice, and compare with a bare COPY of the same rows into the same tables."""
    measured = walk_through_import if is_killed else measure_import
    figures = measured(store, rows, tell=lambda text: click.echo(text, err=True))
    _show_figures(figures.to_json(), as_json=as_json)


@command.command("export")
@_rows_options
def export_command(rows: int, store: str, as_json: bool) -> None:
    """Export a list, and compare with a bare COPY of what is written."""
    figures = measure_export(store, rows, tell=lambda text: click.echo(text, err=True))
    _show_figures(figures.to_json(), as_json=as_json)


@command.command("segment")
@_rows_options
def segment_command(rows: int, store: str, as_json: bool) -> None:
    """Look at a dozen segments' figures, and compare with what counting everybody comes to."""
    figures = measure_segments(store, rows, tell=lambda text: click.echo(text, err=True))
    if as_json:
        click.echo(json.dumps(figures.to_json()))
        return
    for each in figures.queries:
        click.echo(
            f"{each.estimate_ms:>8.1f} ms {each.exact_seconds:>8.2f} s "
            f"{each.about:>10,} ~ {each.people:>10,}  {each.query}"
        )
    totals = figures.to_json()
    del totals["queries"]
    _show_figures(totals, as_json=False)


@command.command("pages")
@click.option("--runs", default=20, show_default=True, type=click.IntRange(2), help="Of each page.")
@click.option("--match", default="", help="Only pages with this in their address.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def pages_command(runs: int, match: str, as_json: bool) -> None:
    """Time every page over the configured database, and typing in a draft; read all of the archive.

    Fill one with newsletter seed. It is read, and holds one account and one draft more while the
    bench runs. Exit code 1: a page fails, is too slow in one of twenty times or too heavy, or the
    archive holds what belongs to one reader.
    """
    found = time_pages(
        get_engine(),
        get_settings(),
        runs=runs,
        match=match,
        tell=lambda text: click.echo(text, err=True),
    )
    if as_json:
        click.echo(json.dumps(found.to_json()))
    else:
        _show_pages(found)
    if not found.is_good:
        raise SystemExit(1)


def _show_pages(found: Pages) -> None:
    click.echo(f"{'p50 ms':>9}{'p95 ms':>9}{'CPU ms':>9}{'kB':>8}  status  page")
    for each in found.times:
        mark = " " if each.is_good else "!"
        click.echo(
            f"{each.p50_ms:>9.1f}{each.p95_ms:>9.1f}{each.cpu_ms:>9.1f}{each.bytes / 1000:>8.1f}"
            f"  {each.status} {mark}   {each.path}"
        )
    if (writing := found.writing) is not None:
        click.echo(
            f"Typing at {writing.stories} stories, to structure, findings and letter: p50 "
            f"{writing.p50_ms:.0f} ms, p95 {writing.p95_ms:.0f} ms, CPU {writing.cpu_ms:.0f} ms"
        )
    if (archive := found.archive) is not None:
        click.echo(
            f"The archive has {archive.pages} pages; {len(archive.tokens)} hold a reader's token, "
            f"{len(archive.broken)} are broken"
        )
        for path in (*archive.tokens, *archive.broken):
            click.echo(f"  ! {path}")
    click.echo(f"Load average {found.load}")


def _show_figures(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, figure in figures.items():
        click.echo(
            f"{name:<20}{figure:>14}" if isinstance(figure, str) else f"{name:<20}{figure:>14,}"
        )


def _show(result: Result) -> None:
    plan = result.plan
    click.echo(
        f"\n{plan.readers:,} readers, {result.message_bytes:,} bytes a message, {plan.links} links, "
        f"{plan.store}, DKIM {plan.dkim}, {plan.workers} x {plan.connections} connections, "
        f"{plan.latency_ms:g} ms round trip, medians of {plan.runs} runs\n"
    )
    if plan.peer:
        click.echo(f"Sent to {plan.peer}, and counted by the ledger alone: it is not asked.\n")
    click.echo(
        f"{'':<14}{'messages/s':>12}{'CPU us/message':>16}{'peak RSS MB':>13}{'ratio CPU':>11}{'ratio rate':>12}"
    )
    _row("newsletter", result.ours)
    for name, other in result.compared.items():
        _row(name, other.figures, other)
    parts = ", ".join(f"{name} {cost:g}" for name, cost in result.cpu_split_us.items())
    click.echo(f"\nCPU us a message by part: {parts}")
    if result.bare_signature_us is not None:
        click.echo(f"The cryptography of the signatures alone: {result.bare_signature_us:g}")
    click.echo(
        f"Planned in {result.plan_seconds:.1f} s, first message {result.first_message_seconds:.2f} s after Send"
    )


def _row(name: str, figures: Figures, compared: Compared | None = None) -> None:
    ratios = f"{compared.ratio_cpu:>11.3f}{compared.ratio_rate:>12.3f}" if compared else ""
    click.echo(
        f"{name:<14}{figures.messages_per_second:>12,.0f}{figures.worker_cpu_us_per_message:>16,.1f}"
        f"{figures.peak_rss_mb:>13.1f}{ratios}"
    )

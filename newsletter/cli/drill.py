"""`newsletter drill`: breaks a system of its own in every way of a list and counts what it cost."""

import json
import secrets
import signal

import click
from rich.console import Console
from rich.table import Table

from newsletter.drill.rig import Store
from newsletter.drill.run import Report, Result, chosen_faults, drill_folder, run_drill

LARGEST_SEED = 1_000_000


@click.command()
@click.option(
    "--store",
    type=click.Choice([store.value for store in Store]),
    default=Store.POSTGRES.value,
    show_default=True,
)
@click.option(
    "--faults", default="all", show_default=True, help="all, or numbers like F-10,F-16 with commas."
)
@click.option(
    "--seeds",
    default=20,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many editions to send; the faults take turns at them.",
)
@click.option("--readers", default=2000, show_default=True, type=click.IntRange(20, 1_000_000))
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="The first seed, to strike again where an earlier drill did  [default: by chance]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of the table.")
@click.option("--keep", is_flag=True, help="Keep the folder with logs and witness in any case.")
def command(
    *,
    store: str,
    faults: str,
    seeds: int,
    readers: int,
    seed: int | None,
    as_json: bool,
    keep: bool,
) -> None:
    """Break a system and prove that the ledger is exact.

    Starts a database, a broker, workers and a mail server of its own, sends an edition for each
    seed while a fault strikes, and compares the mail server's log with the ledger afterwards.
    Nothing is sent anywhere else. Exit code 1: a promise was broken; the folder is kept.
    """
    # Whoever ends it by SIGTERM ends all its processes too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = chosen_faults(faults)
    first = secrets.randbelow(LARGEST_SEED) if seed is None else seed
    screen = Console(stderr=True, highlight=False)
    screen.print(f"Drill on {store}: {seeds} editions to {readers} readers, from --seed {first}")
    with drill_folder(keep=keep) as (folder, keep_it):
        screen.print(f"Starting everything in {folder}")
        report = run_drill(
            Store(store),
            wanted,
            seeds=seeds,
            readers=readers,
            seed=first,
            folder=folder,
            on_result=lambda result: _tell(screen, result),
        )
        if report.breaches:
            keep_it()
            screen.print(f"\nLogs, witness and evidence are in {folder}", style="red")
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        _show(report)
    if report.breaches:
        raise SystemExit(1)


def _tell(screen: Console, result: Result) -> None:
    took = "never" if result.recover_seconds is None else f"after {result.recover_seconds} s"
    screen.print(
        f"{result.fault}  seed {result.seed}: {result.accepted} accepted, "
        f"{result.uncertain} uncertain, over {took}"
    )
    for breach in result.breaches:
        screen.print(f"      {breach}", style="red", markup=False, soft_wrap=True)


def _show(report: Report) -> None:
    table = Table(title=f"Fault drill on {report.store}", title_justify="left")
    table.add_column("fault")
    for name in ("seeds", "lost", "twice", "uncertain", "seconds to recover"):
        table.add_column(name, justify="right")
    reasons = []
    for fault, line in zip(report.faults, report.lines(), strict=True):
        title = f"{fault.ident}  {fault.title}"
        reason = fault.reason_against(report.store)
        if reason is not None:
            table.add_row(title, *["n/a"] * 5)
            reasons.append(f"n/a {fault.ident}: {reason}")
            continue
        seconds = "-" if line.recover_seconds is None else f"{line.recover_seconds:.1f}"
        counts = (line.seeds, line.lost, line.twice, line.uncertain)
        table.add_row(title, *(str(count) for count in counts), seconds)
    # As wide as it must be: a report is kept in files more often than on a screen.
    Console(width=110, highlight=False).print(table)
    for reason in reasons:
        click.echo(reason)

"""`newsletter demo`: the main job on this machine, with everything it needs started by itself."""

import json
import signal
import threading
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from newsletter.cli.edition import describe
from newsletter.cli.imports import show_report
from newsletter.demo.run import Demo, DemoFigures, running_demo
from newsletter.demo.sample import SAMPLE_BRIEFING, SAMPLE_LIST


@click.command()
@click.option("--subscribers", default=1000, show_default=True, type=click.IntRange(1, 10_000_000))
@click.option(
    "--briefing",
    default=SAMPLE_BRIEFING,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A briefing's text to send instead of the project's own.",
)
@click.option("--once", is_flag=True, help="End when the edition is sent.")
@click.option("--json", "as_json", is_flag=True, help="With --once: print one JSON object.")
@click.option("--web-port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--mailbox-port", default=8025, show_default=True, type=click.IntRange(0, 65535))
def command(
    subscribers: int,
    briefing: Path,
    once: bool,
    as_json: bool,
    web_port: int,
    mailbox_port: int,
) -> None:
    """Send a sample edition to a local mailbox and show what came of it.

    Database, broker, workers, mail server and web pages are all started here and end with the
    command; their state and logs lie in var/demo. Exit code 1: the figures do not add up.
    """
    if as_json and not once:
        message = "--json goes with --once."
        raise click.UsageError(message)
    # Whoever ends it by SIGTERM ends all its processes too, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Console(stderr=True)
    bar = _ProgressBar(screen)
    with running_demo(
        briefing=briefing,
        subscribers=subscribers,
        web_port=web_port,
        mailbox_port=mailbox_port,
        on_progress=bar.show,
    ) as demo:
        figures = demo.wait_until_sent(bar.show)
        bar.end()
        if as_json:
            click.echo(json.dumps(figures.to_json()))
        else:
            _tell(demo, figures)
        if not once:
            _stay(demo)
    if not figures.adds_up:
        raise SystemExit(1)


class _ProgressBar:
    """One bar for each step, drawn on a terminal and silent elsewhere."""

    def __init__(self, screen: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=screen,
            disable=not screen.is_terminal,
        )
        self._steps: dict[str, int] = {}

    def show(self, step: str, done: int, total: int) -> None:
        if step not in self._steps:
            self._progress.start()
            self._steps[step] = self._progress.add_task(step)
        self._progress.update(self._steps[step], completed=done, total=total)  # type: ignore[arg-type]

    def end(self) -> None:
        self._progress.stop()


def _tell(demo: Demo, figures: DemoFigures) -> None:
    show_report(demo.imported)
    click.echo()
    click.echo(describe(demo.status()))
    click.echo(f"  {'received':<13}{figures.received:>9,}  by the mailbox")
    for doubt in demo.uncertain():
        click.echo(f"  uncertain: {doubt.address} ({doubt.reason.name.lower()})")
    if figures.first_message_seconds is not None:
        click.echo(
            f"\nFirst message after {figures.first_message_seconds} s, "
            f"all after {figures.seconds} s."
        )
    if not figures.adds_up:
        click.echo(f"The figures do not add up; the logs: {demo.system.processes.folder}", err=True)


def _stay(demo: Demo) -> None:
    click.echo(f"\n  Newsroom     {demo.sign_in}")
    click.echo("               (good once, for an hour; it signs you in as an admin)")
    click.echo(f"  Mailbox      {demo.system.mailbox_url}")
    click.echo(f"  For readers  {demo.system.web_url}/archive/{SAMPLE_LIST.slug}")
    click.echo(f"  Database     NEWSLETTER_DATABASE_URL={demo.database_url}")
    click.echo("\nOpen a message, load its images, click, unsubscribe: the figures follow.")
    click.echo("Ctrl-C ends it.\n")
    shown = demo.status()
    waiting = threading.Event()
    try:
        while not waiting.wait(1.0):
            demo.system.processes.revive()
            current = demo.status()
            if current != shown:
                shown = current
                click.echo(
                    f"opens {current.opens:,}  clicks {current.clicks:,}  "
                    f"unsubscribes {current.unsubscribes:,}"
                )
    except KeyboardInterrupt:
        click.echo()

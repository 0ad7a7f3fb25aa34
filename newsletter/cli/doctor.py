"""`newsletter doctor`: what is wrong with this installation."""

import json
from dataclasses import asdict

import click

from newsletter.clock import utc_now
from newsletter.db import get_engine
from newsletter.deliver.diagnosis import Health
from newsletter.dns import Dns
from newsletter.settings import get_settings
from newsletter.stack.doctor import examine

_MARKS = {
    Health.OK: ("ok     ", "green"),
    Health.WARNING: ("warning", "yellow"),
    Health.ERROR: ("error  ", "red"),
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For a program: a list of findings.")
@click.option("--nameserver", help="Ask this one, like 9.9.9.9, instead of the host's own.")
def command(*, as_json: bool, nameserver: str | None) -> None:
    """Look at settings, stores, pump, transports and DNS; exit with 1 if any of it is wrong."""
    found = list(examine(get_settings(), get_engine(), Dns(nameserver), now=utc_now()))
    if as_json:
        click.echo(json.dumps([asdict(diagnosis) for diagnosis in found], indent=2))
    else:
        for diagnosis in found:
            mark, colour = _MARKS[diagnosis.health]
            click.echo(f"{click.style(mark, fg=colour)}  {diagnosis.subject}: {diagnosis.finding}")
            if diagnosis.remedy:
                click.echo(f"         {diagnosis.remedy}")
    if any(diagnosis.health is Health.ERROR for diagnosis in found):
        raise SystemExit(1)

#!/usr/bin/env python3
"""Runs the very commands of docker-compose.yml on this host, for people without Docker.

The settings come from the environment, as always: NEWSLETTER_DATABASE_URL and NEWSLETTER_REDIS_URL
must name a PostgreSQL and a Redis that run already. A process that dies is started again, as the
containers are; one that keeps dying ends everything.
"""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from ruamel.yaml import YAML

from newsletter.settings import PROJECT_ROOT, get_settings
from newsletter.stack.processes import Processes

COMPOSE_FILE = PROJECT_ROOT / "docker-compose.yml"
ONE_SHOT = "migrate"
ANYWHERE = "0.0.0.0"  # noqa: S104  inside a container; here it becomes --host


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--web-port", default=8000, show_default=True)
@click.option("--mailbox-port", default=8025, show_default=True)
@click.option("--smtp-port", default=1025, show_default=True)
@click.option("--workers", default=1, show_default=True, help="How many `worker` services to run.")
@click.option("--profile", help="Start the services of this profile, too; `try` has the mailbox.")
def command(
    *,
    host: str,
    web_port: int,
    mailbox_port: int,
    smtp_port: int,
    workers: int,
    profile: str | None,
) -> None:
    """Start everything, say so, and end it all on SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = get_settings()
    here = {
        ANYWHERE: host,
        "8000": str(web_port),
        "8025": str(mailbox_port),
        "1025": str(smtp_port),
        "/tmp/beat": str(settings.state_dir / "beat"),  # noqa: S108
    }
    environment = settings.environment()
    with Processes(environment, settings.state_dir / "logs") as processes:
        try:
            for name, arguments in _commands(profile):
                translated = [here.get(each, each) for each in arguments]
                if name == ONE_SHOT:
                    _finish(translated, environment)
                    continue
                for number in range(workers if name == "worker" else 1):
                    node = "%h" if number == 0 else f"%h-{number + 1}"
                    processes.start(
                        f"{name}-{number + 1}",
                        [each.replace("%h", node) for each in translated],
                    )
            click.echo(f"Web  http://{host}:{web_port}  (logs in {settings.state_dir / 'logs'})")
            _stay(processes)
        except KeyboardInterrupt:
            click.echo("Ending …")


def _commands(profile: str | None) -> Iterator[tuple[str, list[str]]]:
    for name, service in _services(COMPOSE_FILE).items():
        profiles = service.get("profiles", [])
        if "build" in service and (not profiles or profile in profiles):
            yield name, list(service["command"])


def _services(file: Path) -> dict[str, Any]:
    services: dict[str, Any] = YAML(typ="safe").load(file)["services"]
    return services


def _finish(arguments: list[str], environment: dict[str, str]) -> None:
    one_shot = [sys.executable, "-m", *arguments]
    if subprocess.run(one_shot, env=environment, cwd=PROJECT_ROOT, check=False).returncode:  # noqa: S603
        message = f"{' '.join(arguments)} failed; nothing was started."
        raise click.ClickException(message)


def _stay(processes: Processes) -> None:
    while not threading.Event().wait(1.0):
        processes.revive()


if __name__ == "__main__":
    command()

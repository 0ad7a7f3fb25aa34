"""`newsletter web`: serves the public pages and the links of the mails."""

import socket

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from newsletter.settings import get_settings, share_metrics

SECONDS_TO_STOP = 10


@click.command("web")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1))
def command(host: str, port: int, workers: int) -> None:
    """Serve the public pages, the open pixel, the click redirect and unsubscribing."""
    settings = get_settings()
    _refuse_taken_port(host, port)
    share_metrics()
    Granian(
        "newsletter.web.app:serve_app",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        factory=True,
        workers=workers,
        http=HTTPModes.http1,
        websockets=False,
        # An access log would hold the tokens of every link.
        log_access=False,
        log_level=LogLevels(settings.log_level.lower()),
        workers_kill_timeout=SECONDS_TO_STOP,
    ).serve()


def _refuse_taken_port(host: str, port: int) -> None:
    # Granian shares its port between processes, so a second server would take half the requests.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # Python adds the address once more
        message = f"Cannot listen on {host} port {port}: {reason}. Choose another --port."
        raise click.ClickException(message) from error
